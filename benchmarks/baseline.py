"""The baseline as an estimator: linear or kernel CCA in the place of the learnt encoders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from avalign.align import ClipAlignment, gather_evidence, rigid_alignment
from avalign.train.calibration import NEUTRAL
from avalign.types import Alignment, ClipStreams
from avalign.vision import usable

if TYPE_CHECKING:
    from avalign.space.frames import FrameSpace
    from benchmarks.cases import Estimator


def baseline_estimator(space: FrameSpace) -> Estimator:
    """Measure with a space of frames; every estimate counts as an answer.

    The confidence is the posterior probability as it comes, without calibration.

    Parameters
    ----------
    space : FrameSpace
        Fitted by `avalign.train.baseline`.

    Returns
    -------
    callable
        Takes streams and the range of lags to search in seconds.
    """

    def estimate(streams: ClipStreams, max_lag_s: float) -> ClipAlignment:
        found = _align_faces(space, streams, max_lag_s)
        if not found:
            return ClipAlignment((), None, None, "no sound, or no face that can be read")
        face = max(found, key=lambda track_id: found[track_id].diagnostics["evidence"])
        # The benchmark reads the answer alone, so the faces are not described.
        return ClipAlignment((), face, found[face], None)

    return estimate


def _align_faces(
    space: FrameSpace, streams: ClipStreams, max_lag_s: float
) -> dict[int, Alignment]:
    """Align every face that can be read, by its number."""
    audio = space.embed_audio(streams.mfcc)
    found = {}
    for face in streams.lips:
        seen = usable(face)
        lips = space.embed_lips(face, seen)
        if len(audio) < 2 or len(lips) < 2:
            continue
        found[face.track_id] = rigid_alignment(
            gather_evidence(audio, lips, max_lag_s),
            no_match=float(np.log(len(streams.lips))),
            zero_lag_s=space.zero_lag_s,
            speech_s=math.nan,
            calibration=NEUTRAL,
        )
    return found
