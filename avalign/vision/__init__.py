"""Pictures to face tracks and lip streams."""

from avalign.vision.detection import FaceFinder
from avalign.vision.extraction import lip_streams
from avalign.vision.lips import ANALYSED_SIDE, coverage, eye_distance, hidden, usable

__all__ = [
    "ANALYSED_SIDE",
    "FaceFinder",
    "coverage",
    "eye_distance",
    "hidden",
    "lip_streams",
    "usable",
]
