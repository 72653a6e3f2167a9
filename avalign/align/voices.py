"""Which face belongs to which voice, where several people are seen and heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avalign.align.evidence import gather_evidence, match_log_odds
from avalign.errors import ParameterError
from avalign.space import load_model
from avalign.types import usable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from avalign.space import Space
    from avalign.types import FeatureStream, LipStream


def assign_voices(evidence: ArrayLike, *, no_match: float = 0.0) -> tuple[tuple[int, int], ...]:
    """Give every voice to the face it fits, so that all of them together fit best.

    Each face gets one voice at most, and each voice one face. A voice whose speaker is
    not seen, and a face that is silent, stay alone: a pair has to be worth more than
    `no_match`.

    Parameters
    ----------
    evidence : array-like of shape (F, V)
        How well each of F faces fits each of V voices, such as `voice_evidence` tells;
        higher is better, and sums must mean something. NaN where a pair cannot be
        compared.
    no_match : float, optional
        Evidence at which a pair is no better than none. 0 is even odds.

    Returns
    -------
    tuple of tuple of int
        (face, voice) of each pair, by face.

    Raises
    ------
    ParameterError
        If `evidence` is no matrix, or holds positive infinity.

    References
    ----------
    H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research
    Logistics Quarterly 2, 1955.

    D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE
    Transactions on Aerospace and Electronic Systems 52(4), 2016.

    Examples
    --------
    >>> assign_voices([[9.0, 8.0], [7.0, 2.0]])  # not the largest one first
    ((0, 1), (1, 0))
    """
    from scipy.optimize import linear_sum_assignment

    matrix = np.asarray(evidence, np.float64)
    if matrix.ndim != 2:
        raise ParameterError(
            f"the evidence has shape {matrix.shape}, not (faces, voices)",
            "give one row for each face",
        )
    if np.isposinf(matrix).any() or not np.isfinite(no_match):
        raise ParameterError("the evidence is infinite", "give finite numbers, or NaN")
    # A pair that is worth nothing changes no sum, so that the best full assignment is the
    # best partial one with such pairs added.
    worth = np.maximum(np.nan_to_num(matrix - no_match, nan=0.0), 0.0)
    faces, voices = linear_sum_assignment(worth, maximize=True)
    return tuple(
        (int(face), int(voice))
        for face, voice in zip(faces, voices, strict=True)
        if worth[face, voice] > 0
    )


def voice_evidence(
    faces: Sequence[LipStream],
    voices: Sequence[FeatureStream],
    *,
    max_lag_s: float = 1.0,
    model: Space | None = None,
) -> NDArray[np.float64]:
    """Compare every face with every voice.

    Parameters
    ----------
    faces : sequence of LipStream
        F faces, such as ``ClipStreams.lips``.
    voices : sequence of FeatureStream
        MFCC of V voices, each alone on its track, on the clock of the faces.
    max_lag_s : float, optional
        How late or early a voice may be; up to 15 s.
    model : Space, optional
        Shared space; default the shipped one.

    Returns
    -------
    ndarray of shape (F, V), float64
        Log odds that the voice comes from the face, at any lag, against that it does not.
        NaN where there is nothing to see or to hear.

    Raises
    ------
    ParameterError
        If `max_lag_s` is out of range.
    """
    model = load_model() if model is None else model
    seen = [usable(face) for face in faces]
    lips = [
        model.embed_lips(face, rows) if np.count_nonzero(rows) > 1 else None
        for face, rows in zip(faces, seen, strict=True)
    ]
    embedded_voices = [
        model.embed_audio(voice) if voice.valid.any() else None for voice in voices
    ]
    found = np.full((len(faces), len(voices)), np.nan)
    for row, face in enumerate(lips):
        for column, embedded in enumerate(embedded_voices):
            if face is not None and embedded is not None and min(len(face), len(embedded)) > 1:
                total = gather_evidence(embedded, face, max_lag_s).total
                found[row, column] = match_log_odds(total, model.no_match)
    return found
