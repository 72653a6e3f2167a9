"""Two recordings in one space, and how strong evidence of their kind is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.align.recordings.common_space import embed_to_match_audio, embed_to_match_lips
from avalign.errors import NoAnswerError
from avalign.space import fill_gaps, load_model
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.space import SpaceModel
    from avalign.types import LipStream

# Below this probability of the same words, two recordings are said to have none in common.
MATCH_CONFIDENCE = 0.7
# Less than this decides nothing.
SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True)
class _Match:
    """Logistic map from what stands out to the probability of the same words.

    ``peak`` is the score of the best lag in standard deviations, ``gain`` the evidence
    along the path beyond that along paths through the other recording played backwards,
    per root of the rows. Fitted on the clips of the benchmark's split ``train``, each
    embedded by a space that has not met its speaker. Lips tell less: theirs is moved so
    that of those foreign pairs 3 % reach `MATCH_CONFIDENCE`.
    """

    intercept: float
    peak_weight: float
    gain_weight: float

    def probability(self, peak: float, gain: float) -> float:
        score = self.intercept + self.peak_weight * peak + self.gain_weight * gain
        return 1.0 / (1.0 + math.exp(-min(max(score, -60.0), 60.0)))


@dataclass(frozen=True, slots=True)
class Kind:
    """How sound is embedded, how strong its evidence is, how far it must be averaged.

    Parameters
    ----------
    embed : callable
        From the MFCC of the other recording to its rows.
    step_cost : float
        Evidence that a step off the diagonal must be worth.
    jump_cost : float
        Evidence that a jump must be worth.
    window_s : float
        Length over which evidence is averaged to find the lag between rows.
    smoothing_s : float
        Waves of the lag of this length keep half of their height.
    tolerance_s : float
        How far nine lags in ten may lie from one lag or a line to be called that.
    band_s : float
        How far the lag may wander to either side.
    stretch_s : float
        Length over which it shows whether a path fits.
    max_lag_s : float
        How far apart the recordings may be.
    match : _Match
        Probability of the same words.
    """

    embed: Callable[[FeatureStream, SpaceModel | None], FeatureStream]
    step_cost: float
    jump_cost: float
    window_s: float
    smoothing_s: float
    tolerance_s: float
    band_s: float
    stretch_s: float
    max_lag_s: float
    match: _Match


_AUDIO = Kind(
    embed=embed_to_match_audio,
    step_cost=0.4,
    jump_cost=20.0,
    window_s=0.2,
    smoothing_s=0.5,
    tolerance_s=0.010,
    band_s=5.0,
    stretch_s=2.0,
    max_lag_s=math.inf,
    match=_Match(-9.8, 0.50, 2.88),
)
_LIPS = Kind(
    embed=embed_to_match_lips,
    step_cost=0.4,
    jump_cost=20.0,
    window_s=1.0,
    smoothing_s=3.0,
    tolerance_s=0.040,
    band_s=1.5,
    stretch_s=4.0,
    max_lag_s=10.0,
    match=_Match(-5.1, 1.05, 0.90),
)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPair:
    """Two recordings in one space: inner products of rows tell what belongs together.

    Parameters
    ----------
    reference, other : FeatureStream
        ``"embedding"`` rows on uniform clocks of one rate.
    kind : object
        How strong evidence of this kind is; set by `pair_audio` and `pair_lips`.
    """

    reference: FeatureStream
    other: FeatureStream
    kind: Kind


def pair_audio(
    reference: FeatureStream, other: FeatureStream, *, space: SpaceModel | None = None
) -> EmbeddedPair:
    """Prepare a recording for the alignment with another one of the same words.

    Parameters
    ----------
    reference, other : FeatureStream
        MFCC of both.
    space : SpaceModel, optional
        Shared space; default the shipped one.

    Returns
    -------
    EmbeddedPair
        What `align_pair` takes.

    Raises
    ------
    NoAnswerError
        If one of them is shorter than a second, or holds next to nothing but gaps.
    """
    for stream in (reference, other):
        check_length(stream)
    one, two = (fill_gaps(embed_to_match_audio(stream, space)) for stream in (reference, other))
    return EmbeddedPair(one, two, _AUDIO)


def pair_lips(
    lips: LipStream,
    usable: NDArray[np.bool_],
    other: FeatureStream,
    *,
    space: SpaceModel | None = None,
) -> EmbeddedPair:
    """Prepare a face for the alignment with a recording of the same words.

    Parameters
    ----------
    lips : LipStream
        The face.
    usable : ndarray of shape (T,), bool
        Pictures to use.
    other : FeatureStream
        MFCC of the recording.
    space : SpaceModel, optional
        Shared space; default the shipped one.

    Returns
    -------
    EmbeddedPair
        What `align_pair` takes.

    Raises
    ------
    NoAnswerError
        If a recording is shorter than a second, or holds next to nothing but gaps.
    """
    check_length(other)
    model = load_model() if space is None else space
    embedded_lips = fill_gaps(model.embed_lips(lips, usable))
    return EmbeddedPair(embedded_lips, fill_gaps(embed_to_match_lips(other, model)), _LIPS)


def exchange_other(
    pair: EmbeddedPair, other: FeatureStream, *, space: SpaceModel | None = None
) -> EmbeddedPair:
    """Keep the reference of a pair, and put another recording beside it.

    Parameters
    ----------
    pair : EmbeddedPair
        The pair.
    other : FeatureStream
        MFCC of the recording.
    space : SpaceModel, optional
        The shared space the pair was prepared with; default the shipped one.

    Returns
    -------
    EmbeddedPair
        The new pair.

    Raises
    ------
    NoAnswerError
        If a recording is shorter than a second, or holds next to nothing but gaps.
    """
    check_length(other)
    return replace(pair, other=fill_gaps(pair.kind.embed(other, space)))


def check_length(stream: FeatureStream) -> None:
    """Raise NoAnswerError if the valid rows of a stream last less than `SHORTEST_S`."""
    period = float(np.diff(stream.times_s[:2]).sum())
    if np.count_nonzero(stream.valid) * period < SHORTEST_S:
        raise NoAnswerError(
            f"a recording holds less than {SHORTEST_S:g} s to align", "give a longer one"
        )
