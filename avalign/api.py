"""The verbs, each one step on what the step before gave.

``extract`` reads streams, ``measure`` aligns them and reports, ``repair``
writes. ``check`` is the report of ``measure``; ``sync`` is ``measure``, then
``repair``. The audio lag is the time of an event in the sound minus its time in
the picture, so a positive lag means that the audio is late.
"""

from avalign.extraction import extract, is_streams_file
from avalign.measurement import Measurement, check, check_options, failed, measure
from avalign.repairing import check_target, repair, sync, synced_path

__all__ = [
    "Measurement",
    "check",
    "check_options",
    "check_target",
    "extract",
    "failed",
    "is_streams_file",
    "measure",
    "repair",
    "sync",
    "synced_path",
]
