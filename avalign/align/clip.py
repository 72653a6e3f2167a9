"""One clip, one answer: which face speaks and how late its sound is, or why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.align.confidence import LagCalibration, load_calibration
from avalign.align.decision import SHORTEST_SPEECH_S, doubt
from avalign.align.evidence import Evidence, add_evidence, gather_evidence
from avalign.align.lag import rigid_alignment
from avalign.align.places import median_box, name_places
from avalign.align.stability import (
    LagChange,
    find_lag_change,
    quarter_lags_s,
    with_lag_change,
)
from avalign.space import Space, load_model
from avalign.types import (
    Alignment,
    ClipStreams,
    FaceAlignment,
    FeatureStream,
    LipStream,
    coverage,
    hidden,
    usable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A face is told from chance by being seen for a while, which a shorter clip does not allow.
_SHORTEST_CLIP_S = 0.5
# Two rows of the shared space, the least that can be compared, take three of sound.
_FEWEST_SOUND_ROWS = 3


@dataclass(frozen=True, slots=True)
class ClipAlignment:
    """What sound and faces of one clip say about each other.

    Parameters
    ----------
    faces : tuple of FaceAlignment
        Every face with its own alignment, largest face first.
    face : int or None
        ``track_id`` of the face whose mouth fits the sound best.
    alignment : Alignment or None
        Best guess for the clip; None where nothing could be measured.
    reason : str or None
        Why the guess is not to be trusted; None where it is.
    change : LagChange or None, optional
        How the lag changes over the clip, where one lag is not the answer.
    quarters_s : tuple of float or None, optional
        The lag of each quarter of the clip; None where it does not show clearly.
    """

    faces: tuple[FaceAlignment, ...]
    face: int | None
    alignment: Alignment | None
    reason: str | None
    change: LagChange | None = None
    quarters_s: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    lips: LipStream
    usable: NDArray[np.bool_]
    evidence: Evidence
    alignment: Alignment


def align_streams(
    streams: ClipStreams,
    *,
    max_lag_s: float = 1.0,
    model: Space | None = None,
    calibration: LagCalibration | None = None,
) -> ClipAlignment:
    """Find how late the sound of a clip is against the lips it belongs to.

    Parameters
    ----------
    streams : ClipStreams
        Sound and faces of the clip.
    max_lag_s : float, optional
        Search lags of plus and minus this much; up to 15 s.
    model : Space, optional
        Shared space; default the shipped one.
    calibration : LagCalibration, optional
        Calibration that belongs to `model`; default the shipped one.

    Returns
    -------
    ClipAlignment
        All faces, the matching one, the best guess, and whether to trust it.

    Raises
    ------
    ParameterError
        If `max_lag_s` is out of range.
    """
    model = load_model() if model is None else model
    calibration = load_calibration() if calibration is None else calibration
    if not streams.lips:
        return ClipAlignment((), None, None, _unseen(streams))

    candidates: list[_Candidate] = []
    faces: list[FaceAlignment] = []
    # The voice belongs to one mouth at most: faces share the odds of a match.
    no_match = model.no_match + float(np.log(len(streams.lips)))
    audio = model.embed_audio(streams.mfcc) if streams.mfcc.valid.any() else None
    for lips, place in zip(streams.lips, name_places(streams.lips), strict=True):
        seen = usable(lips)
        candidate = None
        if audio is not None and len(audio) > 1 and np.count_nonzero(seen) > 1:
            evidence = gather_evidence(audio, model.embed_lips(lips, seen), max_lag_s)
            speech_s = _speech_in_view(streams.speech, lips, seen)
            alignment = _rigid(
                evidence, speech_s, _picture_s(lips, seen), no_match, model, calibration
            )
            candidate = _Candidate(lips, seen, evidence, alignment)
            candidates.append(candidate)
        faces.append(_describe(lips, place, candidate))
    if not candidates:
        return ClipAlignment(tuple(faces), None, None, _unusable(streams))

    chosen, alignment, evidence = _choose(candidates, no_match, model, calibration)
    reason = doubt(alignment, max_lag_s, several=len(streams.lips) > 1)
    change = None if reason else find_lag_change(evidence, model.zero_lag_s)
    if change is not None:
        alignment = with_lag_change(alignment, change, evidence.times_s[evidence.used])
    return ClipAlignment(
        tuple(faces),
        chosen.lips.track_id,
        alignment,
        reason,
        change,
        quarter_lags_s(evidence, model.zero_lag_s),
    )


def _rigid(
    evidence: Evidence,
    speech_s: float,
    picture_s: float,
    no_match: float,
    model: Space,
    calibration: LagCalibration,
) -> Alignment:
    found = rigid_alignment(
        evidence,
        no_match=no_match,
        zero_lag_s=model.zero_lag_s,
        speech_s=speech_s,
        calibration=calibration,
        frame_period_s=picture_s,
    )
    # The calibration knows lips that speak; what still lips and noise look like, it does not.
    return found if speech_s >= SHORTEST_SPEECH_S else replace(found, confidence=0.0)


def _choose(
    candidates: list[_Candidate],
    no_match: float,
    model: Space,
    calibration: LagCalibration,
) -> tuple[_Candidate, Alignment, Evidence]:
    """Pick the face the sound belongs to; it may be several tracks, one after another.

    A person who is seen before and after a cut is two tracks. Tracks that never
    share a picture may therefore both belong to the voice, and the clip has one
    lag: their evidence adds up where adding it strengthens the case.
    """
    ranked = sorted(candidates, key=lambda candidate: -candidate.evidence.total.max())
    best = ranked[0]
    evidence, seen, joined = best.evidence, best.usable, [best]
    for other in ranked[1:]:
        if len(other.usable) != len(seen) or (seen & other.usable).any():
            continue
        together = add_evidence(evidence, other.evidence)
        if together.total.max() > evidence.total.max():
            evidence, seen = together, seen | other.usable
            joined.append(other)
    alignment = best.alignment
    if len(joined) > 1:
        speech_s = sum(candidate.alignment.speech_s for candidate in joined)
        picture_s = _picture_s(best.lips, best.usable)
        alignment = _rigid(evidence, speech_s, picture_s, no_match, model, calibration)

    rivals = [candidate for candidate in ranked if candidate not in joined]
    if rivals:
        # The voice belongs to one mouth: the faces share the probability.
        best_of_rivals = np.array([rival.evidence.total.max() for rival in rivals])
        margins = np.minimum(best_of_rivals - alignment.diagnostics["evidence"], 0.0)
        fraction = 1.0 / (1.0 + float(np.exp(margins).sum()))
        alignment = replace(
            alignment,
            confidence=alignment.confidence * fraction,
            diagnostics={**alignment.diagnostics, "share_among_faces": fraction},
        )
    return best, alignment, evidence


def _unseen(streams: ClipStreams) -> str:
    if 0 < streams.duration_s < _SHORTEST_CLIP_S:
        return f"too short: {streams.duration_s:.1f} s of picture"
    return "no face in the picture"


def _unusable(streams: ClipStreams) -> str:
    if np.count_nonzero(streams.mfcc.valid) < _FEWEST_SOUND_ROWS:
        return "no sound to compare with the lips"
    if any(hidden(lips).any() for lips in streams.lips):
        return "the mouth is hidden or blurred"
    if any(lips.valid.any() for lips in streams.lips):
        return "the face is too small or turned away"
    return _unseen(streams)


def _speech_in_view(speech: FeatureStream, lips: LipStream, seen: NDArray[np.bool_]) -> float:
    """Seconds of speech while the lips can be read, lag disregarded."""
    if len(speech) < 2:
        return 0.0
    nearest = np.clip(np.searchsorted(lips.times_s, speech.times_s), 0, len(lips) - 1)
    inside = (speech.times_s >= lips.times_s[0]) & (speech.times_s <= lips.times_s[-1])
    heard = speech.valid & (speech.values[:, 0] > 0.5)
    period = float(np.median(np.diff(speech.times_s)))
    return float(np.count_nonzero(heard & inside & seen[nearest])) * period


def _picture_s(lips: LipStream, seen: NDArray[np.bool_]) -> float:
    """Seconds for which a picture that shows the lips stands, typically."""
    return float(np.median(np.diff(lips.times_s[seen])))


def _describe(lips: LipStream, place: str, candidate: _Candidate | None) -> FaceAlignment:
    left, top, right, bottom = (float(edge) for edge in median_box(lips))
    return FaceAlignment(
        lips.track_id,
        place,
        (left, top, right, bottom),
        coverage(lips),
        None if candidate is None else candidate.alignment,
    )
