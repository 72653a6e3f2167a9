"""Line up the sound and the picture of a talking person.

>>> import avalign
>>> report = avalign.check("talk.mp4")  # doctest: +SKIP
>>> report.audio_lag_ms  # doctest: +SKIP
160.2

A positive lag means that the audio is late. Public names are imported when
they are first used, so that importing avalign costs next to nothing; type
checkers read them in ``__init__.pyi``.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "api": (
        "AlignedPair",
        "Measurement",
        "align_files",
        "check",
        "compare",
        "extract",
        "measure",
        "repair",
        "retime",
        "sync",
    ),
    "batch": ("check_many",),
    "errors": (
        "AvalignError",
        "MediaError",
        "MissingDependencyError",
        "NoAnswerError",
        "ParameterError",
    ),
    "align": ("align_streams",),
    "audio": ("mfcc",),
    "media": ("probe", "read_audio"),
    "report": ("plot_sync", "plot_warp"),
    "schema": ("to_dict", "to_json"),
    "streams": ("load_streams", "save_streams"),
    "types": (
        "AlignReport",
        "Alignment",
        "ClipStreams",
        "FeatureStream",
        "LipStream",
        "SyncReport",
        "TimeWarp",
    ),
    "verdict": ("Tolerance",),
    "vision": ("lip_streams",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
# Rooms that are public as a whole.
_ROOMS = ("dtw",)

__all__ = ["__version__", *_ROOMS, *sorted(_HOME_OF)]


def __getattr__(name: str) -> object:
    """Import a public name from its room, and keep it (PEP 562)."""
    if name in _ROOMS:
        return importlib.import_module(f"avalign.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'avalign' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"avalign.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
