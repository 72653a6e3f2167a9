"""The frozen dataclasses that flow through the house.

Time is always the first axis, and every stream carries its own clock
(``times_s``), so that variable frame rate, dropped faces, edit lists and codec
priming are ordinary. All times are presentation times in seconds: what a
player shows, with the zero of the container.
"""

from avalign.types.alignment import Alignment, LagCurve, LagMap, TimeWarp
from avalign.types.media import AudioStream, AudioTrack, MediaClip, VideoTrack
from avalign.types.reports import AlignReport, FaceAlignment, SyncReport
from avalign.types.streams import AlignedSequence, ClipStreams, FeatureStream, LipStream

__all__ = [
    "AlignReport",
    "AlignedSequence",
    "Alignment",
    "AudioStream",
    "AudioTrack",
    "ClipStreams",
    "FaceAlignment",
    "FeatureStream",
    "LagCurve",
    "LagMap",
    "LipStream",
    "MediaClip",
    "SyncReport",
    "TimeWarp",
    "VideoTrack",
]
