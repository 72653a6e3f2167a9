"""Two streams in the shared space, and the path that lines them up."""

from avalign.align.clip import (
    ANSWER_CONFIDENCE,
    REPAIR_CONFIDENCE,
    VERDICT_CONFIDENCE,
    ClipAlignment,
    align_streams,
)
from avalign.align.confidence import Calibration, load_calibration
from avalign.align.evidence import Evidence, gather_evidence
from avalign.align.lag import rigid_alignment
from avalign.align.recordings import (
    MATCH_CONFIDENCE,
    EmbeddedPair,
    WarpModel,
    align_pair,
    exchange_other,
    lag_map,
    pair_lips,
    pair_sounds,
)

__all__ = [
    "ANSWER_CONFIDENCE",
    "MATCH_CONFIDENCE",
    "REPAIR_CONFIDENCE",
    "VERDICT_CONFIDENCE",
    "Calibration",
    "ClipAlignment",
    "EmbeddedPair",
    "Evidence",
    "WarpModel",
    "align_pair",
    "align_streams",
    "exchange_other",
    "gather_evidence",
    "lag_map",
    "load_calibration",
    "pair_lips",
    "pair_sounds",
    "rigid_alignment",
]
