"""CREMA-D: twelve sentences in six emotions by 91 actors, and what viewers took them for.

``VideoFlash/1001_IEO_ANG_HI.flv`` is actor 1001, "It's eleven o'clock", anger, high.
``processedResults/tabulatedVotes.csv`` counts the votes of those who heard, saw, or heard and
saw a take; ``summaryTable.csv`` has the winners.

References
----------
.. [1] H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova, R. Verma, "CREMA-D:
   Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Trans. Affective Computing 5 (4),
   2014.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from avalign.data.corpora.files import find_files, make_manifest, make_rows
from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.data.tables import read_table
from avalign.errors import ParameterError
from avalign.files import AUDIO_SUFFIXES, VIDEO_SUFFIXES

LICENCE = "ODbL 1.0"
SENTENCES = {
    "IEO": "it's eleven o'clock",
    "TIE": "that is exactly what happened",
    "IOM": "i'm on my way to the meeting",
    "IWW": "i wonder what this is about",
    "TAI": "the airplane is almost full",
    "MTI": "maybe tomorrow it will be cold",
    "IWL": "i would like a new alarm clock",
    "ITH": "i think i have a doctor's appointment",
    "DFA": "don't forget a jacket",
    "ITS": "i think i've seen this before",
    "TSI": "the surface is slick",
    "WSI": "we'll stop in a couple of minutes",
}
EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": ""}
VOTES = {emotion[0]: name for emotion, name in EMOTIONS.items()}
# The number of a row of tabulated votes begins with how the take was shown.
SHOWN_AS = {"1": "voice_vote", "2": "face_vote", "3": "multimodal_vote"}
SUMMARY_TABLE, VOTES_TABLE = "summaryTable.csv", "tabulatedVotes.csv"
SUMMARY = {
    "VoiceVote": "voice_vote",
    "FaceVote": "face_vote",
    "MultiModalVote": "multimodal_vote",
}
Extras = dict[str, dict[str, str]]


def read_crema_d(folder: str | os.PathLike[str], *, labels: str = "acted") -> Manifest:
    """List the takes of CREMA-D, with the votes where their tables are there.

    Parameters
    ----------
    folder : path-like
        The folder of the repository, or any that holds its files.
    labels : {"acted", "voted"}
        What the label of a row is: the emotion the actor was to show, or the one that most
        of those who heard and saw it voted for, empty for a tie.

    Returns
    -------
    Manifest
        One row per take, the video where it is there (its sound is the WAV file only where
        there is no video). In ``extra``: the level acted, ``voice_vote``, ``face_vote`` and
        ``multimodal_vote`` (ties as ``"anger:fear"``), and, from the tabulated votes, the
        agreement of those who heard and saw the take.

    Raises
    ------
    ParameterError
        If there are no takes, a name has a code that means nothing, a table is not what
        it should be, or votes are asked for and there are none.
    MediaError
        If the folder or a table cannot be read.
    """
    if labels not in ("acted", "voted"):
        raise ParameterError(f"labels is {labels!r}", "choose 'acted' or 'voted'")
    folder = Path(folder)
    votes = _votes(folder)
    if labels == "voted" and not votes:
        raise ParameterError(
            f"{folder} holds no votes", "put summaryTable.csv or tabulatedVotes.csv into it"
        )
    takes: dict[str, Path] = {}
    for suffixes in (AUDIO_SUFFIXES, VIDEO_SUFFIXES):
        takes |= {
            path.stem: path
            for path in find_files(folder, suffixes)
            if path.stem.count("_") == 3 and path.stem.split("_")[0].isdecimal()
        }
    rows = make_rows(
        _row, ((path, votes.get(path.stem, {}), labels) for path in takes.values())
    )
    return make_manifest(folder, rows, expected="files named like 1001_IEO_ANG_HI.flv")


def _row(path: Path, votes: dict[str, str], labels: str) -> ManifestRow:
    actor, sentence, emotion, level = path.stem.split("_")
    for code, codes, field in (
        (sentence, SENTENCES, "sentence"),
        (emotion, EMOTIONS, "emotion"),
        (level, LEVELS, "level"),
    ):
        if code not in codes:
            raise ParameterError(
                f"{path}: {code} is no {field} of CREMA-D", "correct the name, or remove it"
            )
    voted = votes.get("multimodal_vote", "")
    extra = {"level": LEVELS[level], "acted": EMOTIONS[emotion], **votes}
    return ManifestRow(
        path,
        role="in_sync" if path.suffix.lower() in VIDEO_SUFFIXES else "audio_only",
        dataset="crema-d",
        speaker=f"crema-d_{actor}",
        language="en",
        label=EMOTIONS[emotion] if labels == "acted" else "" if ":" in voted else voted,
        text=SENTENCES[sentence],
        licence=LICENCE,
        extra={name: text for name, text in extra.items() if text},
    )


def find_crema_d_tables(folder: Path) -> list[Path]:
    """Find the tables of votes that `read_crema_d` reads."""
    names = SUMMARY_TABLE, VOTES_TABLE
    return [path for path in find_files(folder, {".csv"}) if path.name in names]


def _votes(folder: Path) -> Extras:
    votes: Extras = defaultdict(dict)
    for table in find_crema_d_tables(folder):
        if table.name == SUMMARY_TABLE:
            for place, cells in read_table(table, required="FileName"):
                for column in SUMMARY.keys() & cells.keys():
                    vote = _emotions(table, place, cells[column])
                    votes[cells["FileName"]][SUMMARY[column]] = vote
        else:
            for place, cells in read_table(table, required="fileName"):
                name = SHOWN_AS.get(cells.get("", "")[:1], "")
                if not name:
                    continue
                of_take = votes[cells["fileName"]]
                of_take[name] = _emotions(table, place, cells.get("emoVote", ""))
                if name == "multimodal_vote":
                    of_take["agreement"] = _agreement(table, place, cells.get("agreement", ""))
    return votes


def _emotions(table: Path, place: str, letters: str) -> str:
    """Read a vote such as ``"A:F"``."""
    if not letters or not all(letter in VOTES for letter in letters.split(":")):
        raise ParameterError(
            f"{table}, {place}: {letters!r} is no vote",
            f"votes are {', '.join(VOTES)}, with a colon between those of a tie",
        )
    return ":".join(VOTES[letter] for letter in letters.split(":"))


def _agreement(table: Path, place: str, text: str) -> str:
    try:
        if 0 <= float(text) <= 1:
            return text
    except ValueError:
        pass
    raise ParameterError(
        f"{table}, {place}: {text!r} is no agreement", "agreements go from 0 to 1"
    )
