"""RAVDESS: two sentences in eight emotions, spoken (and in six, sung) by 24 actors.

``Actor_12/01-01-06-01-02-01-12.mp4``: the seven numbers are modality (01 picture and sound,
02 picture, 03 sound), channel, emotion, intensity, statement, repetition and actor.

References
----------
.. [1] S. R. Livingstone, F. A. Russo, "The Ryerson Audio-Visual Database of Emotional Speech
   and Song (RAVDESS)", PLoS ONE 13 (5), 2018.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path

from avalign.data.corpora.files import find_files, make_manifest, make_rows
from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.errors import ParameterError
from avalign.files import AUDIO_SUFFIXES, VIDEO_SUFFIXES

LICENCE = "CC BY-NC-SA 4.0"
NAME = re.compile(r"\d\d(-\d\d){6}")
BOTH, VIDEO, AUDIO = "01", "02", "03"
CHANNELS = {"01": "speech", "02": "song"}
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
REPETITIONS = {"01": "1", "02": "2"}
ACTORS = {f"{actor:02}": f"ravdess_{actor:02}" for actor in range(1, 25)}
MODALITIES = {BOTH: "audio-video", VIDEO: "video", AUDIO: "audio"}
FIELDS = (
    ("modality", MODALITIES),
    ("channel", CHANNELS),
    ("emotion", EMOTIONS),
    ("intensity", INTENSITIES),
    ("statement", STATEMENTS),
    ("repetition", REPETITIONS),
    ("actor", ACTORS),
)


def read_ravdess(folder: str | os.PathLike[str]) -> Manifest:
    """List the takes of RAVDESS, each once.

    A take may be there with picture and sound, as picture and as sound alone; the first is
    taken where it is there, else the second with the third for its sound. What is left is
    listed with the role ``video_only`` or ``audio_only``.

    Parameters
    ----------
    folder : path-like
        Where the archives were unpacked.

    Returns
    -------
    Manifest
        One row per take; its label is the emotion. ``dataset`` tells ``ravdess`` from
        ``ravdess_song``; intensity and repetition are in ``extra``.

    Raises
    ------
    ParameterError
        If there are no takes, or a name has a number that means nothing.
    MediaError
        If the folder cannot be read.
    """
    folder = Path(folder)
    takes: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in find_files(folder, VIDEO_SUFFIXES | AUDIO_SUFFIXES):
        if NAME.fullmatch(path.stem):
            modality, take = path.stem.split("-", 1)
            takes[take].setdefault(modality, path)
    rows = make_rows(_row, takes.items())
    return make_manifest(folder, rows, expected="files named like 01-01-06-01-02-01-12.mp4")


def _row(take: str, files: dict[str, Path]) -> ManifestRow:
    if BOTH in files:
        path, audio, role = files[BOTH], None, "in_sync"
    elif VIDEO in files and AUDIO in files:
        path, audio, role = files[VIDEO], files[AUDIO], "in_sync"
    elif VIDEO in files:
        path, audio, role = files[VIDEO], None, "video_only"
    else:
        path, audio, role = next(iter(files.values())), None, "audio_only"
    meaning = {}
    for (field, codes), code in zip(FIELDS, path.stem.split("-"), strict=True):
        if code not in codes:
            raise ParameterError(
                f"{path}: {code} is no {field} of RAVDESS", "correct the name, or remove it"
            )
        meaning[field] = codes[code]
    return ManifestRow(
        path,
        role=role,
        dataset="ravdess" if meaning["channel"] == "speech" else "ravdess_song",
        speaker=meaning["actor"],
        language="en",
        label=meaning["emotion"],
        text=meaning["statement"],
        audio=audio,
        weights_ok=False,
        licence=LICENCE,
        extra={"intensity": meaning["intensity"], "repetition": meaning["repetition"]},
    )
