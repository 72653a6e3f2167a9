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

__all__ = [
    "ANSWER_CONFIDENCE",
    "REPAIR_CONFIDENCE",
    "VERDICT_CONFIDENCE",
    "Calibration",
    "ClipAlignment",
    "Evidence",
    "align_streams",
    "gather_evidence",
    "load_calibration",
    "rigid_alignment",
]
