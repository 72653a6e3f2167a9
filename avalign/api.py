"""The verbs, each one step on what the step before gave.

``extract`` reads streams, ``measure`` aligns them and reports, ``repair``
writes. ``check`` is the report of ``measure``; ``sync`` is ``measure``, then
``repair``. Of two recordings, ``compare`` measures how their clocks run against
each other, ``retime`` writes one in the time of the other, and ``align_files``
does both. The audio lag is the time of an event in the sound minus its time in
the picture, so a positive lag means that the audio is late.
"""

from avalign.comparison import AlignedPair, align_failed, compare
from avalign.extraction import extract, is_streams_file
from avalign.files import check_target
from avalign.measurement import Measurement, check, check_options, failed, measure
from avalign.repairing import repair, sync
from avalign.retiming import align_files, aligned_path, check_output, retime
from avalign.targets import check_video_target, synced_path

__all__ = [
    "AlignedPair",
    "Measurement",
    "align_failed",
    "align_files",
    "aligned_path",
    "check",
    "check_options",
    "check_output",
    "check_target",
    "check_video_target",
    "compare",
    "extract",
    "failed",
    "is_streams_file",
    "measure",
    "repair",
    "retime",
    "sync",
    "synced_path",
]
