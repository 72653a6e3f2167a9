"""Pictures to face tracks and lip streams."""

from avalign.vision.extraction import lip_streams
from avalign.vision.lips import coverage, eye_distance, hidden, usable

__all__ = ["coverage", "eye_distance", "hidden", "lip_streams", "usable"]
