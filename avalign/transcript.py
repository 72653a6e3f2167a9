"""What is said and when: transcripts read from files, written, and put on a clock.

>>> from avalign.transcript import Transcript, Word
>>> Transcript((Word("bin", 0.5, 0.8), Word("blue", 0.8, 1.1)), "demo").text
'bin blue'
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from avalign.errors import MediaError, ParameterError
from avalign.types import FeatureStream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Transcript", "Word", "read_transcript", "transcript_stream", "write_srt"]

AnyPath: TypeAlias = str | PathLike[str]
TextFeature: TypeAlias = Literal["characters", "words"]

MAX_BYTES = 2**22  # more than a day of subtitles
GRID_UNITS_PER_S = 25_000
GRID_SILENCES = frozenset({"sil", "sp"})
CHARACTERS = "abcdefghijklmnopqrstuvwxyz'0123456789"
CUE_TIMES = re.compile(
    r"(\d{1,4}):(\d{1,2}):(\d{1,2})[,.](\d{1,3})\s*-->\s*(\d{1,4}):(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
)
CUE_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Word:
    """One word, and when it is said.

    Parameters
    ----------
    text : str
        The word, without blanks.
    start_s, end_s : float or None
        Presentation times of its first and last sound; both None where the word has
        no time yet.
    confidence : float or None
        Probability that the word is right; None where nobody estimated one.

    Raises
    ------
    ParameterError
        If the text is empty or holds blanks, or the times are no interval.
    """

    text: str
    start_s: float | None = None
    end_s: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        if not self.text or any(character.isspace() for character in self.text):
            raise ParameterError(
                f"a word must be text without blanks, not {self.text!r}", "split it"
            )
        if self.start_s is None and self.end_s is None:
            return
        start_s, end_s = self.start_s, self.end_s
        if (
            start_s is None
            or end_s is None
            or not (math.isfinite(start_s) and math.isfinite(end_s))
            or end_s < start_s
        ):
            raise ParameterError(
                f"the word {self.text!r} is given the times {start_s} to {end_s}",
                "name a start and an end that is not before it, or neither",
            )


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words in the order in which they are said.

    Parameters
    ----------
    words : tuple of Word
        The words; those with times start no earlier than the ones before them.
    source : str
        Where they come from, such as the name of a file.

    Raises
    ------
    ParameterError
        If a word starts before an earlier one.
    """

    words: tuple[Word, ...]
    source: str = ""

    def __post_init__(self) -> None:
        timed = (word for word in self.words if word.start_s is not None)
        for before, after in pairwise(timed):
            if (after.start_s or 0.0) < (before.start_s or 0.0):
                raise ParameterError(
                    f"the word {after.text!r} starts at {after.start_s} s, before "
                    f"{before.text!r} at {before.start_s} s",
                    "sort the words by their start",
                )

    def __len__(self) -> int:
        return len(self.words)

    @property
    def text(self) -> str:
        """All words, with a blank between any two."""
        return " ".join(word.text for word in self.words)

    @property
    def has_times(self) -> bool:
        """Whether every word has its times."""
        return all(word.start_s is not None for word in self.words)

    def as_dict(self) -> dict[str, Any]:
        """Turn the transcript into plain values that JSON can hold.

        Returns
        -------
        dict
            ``text`` and ``words``, each of these with ``text``, ``start_s``, ``end_s`` and
            ``confidence``; None wherever something is not known.
        """
        return {
            "text": self.text,
            "words": [
                {
                    "text": word.text,
                    "start_s": word.start_s,
                    "end_s": word.end_s,
                    "confidence": word.confidence,
                }
                for word in self.words
            ],
        }


def read_transcript(path: AnyPath) -> Transcript:
    """Read a transcript from a file, by its ending.

    Parameters
    ----------
    path : str or PathLike
        ``.align``: word times of the GRID corpus, one ``start end word`` per line in units
        of 1/25000 s; its silences are left out. ``.srt``: subtitles; the time of a cue is
        shared among its words by their length, so words are as exact as cues are short.
        ``.txt``: words without times. All are UTF-8 text and need not be trusted.

    Returns
    -------
    Transcript
        The words; ``source`` is the file's name.

    Raises
    ------
    ParameterError
        If the file's ending is none of these.
    MediaError
        If the file cannot be read, is larger than 4 MiB, or is no such transcript.
    """
    readers = {".align": _read_grid, ".srt": _read_srt, ".txt": _read_text}
    reader = readers.get(Path(path).suffix.lower())
    if reader is None:
        raise ParameterError(
            f"{path}: transcripts do not end in {Path(path).suffix!r}",
            f"name a file that ends in {', '.join(readers)}",
        )
    file, text = _load(path)
    try:
        return Transcript(reader(text), file.name)
    except _NotTranscriptError as fault:
        raise MediaError(f"{file}, {fault}", "correct the file") from None


class _NotTranscriptError(Exception):
    """Where a file is wrong and how, in words."""


def _load(path: AnyPath) -> tuple[Path, str]:
    from avalign.media.opening import local_file

    file = local_file(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise MediaError(
                f"{file}: is larger than {MAX_BYTES >> 20} MiB, so it is no transcript",
                "split it",
            )
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise MediaError(f"{file}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise MediaError(
            f"{file}: is not UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}",
            "save it as text in UTF-8",
        ) from error
    if "\0" in text:
        raise MediaError(f"{file}: holds zero bytes, so it is no text", "save it as UTF-8")
    return file, text


def _read_text(text: str) -> tuple[Word, ...]:
    return tuple(map(Word, text.split()))


def _read_grid(text: str) -> tuple[Word, ...]:
    words: list[Word] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        fields = line.split()
        if len(fields) != 3 or not all(re.fullmatch(r"\d{1,12}", unit) for unit in fields[:2]):
            raise _NotTranscriptError(
                f"line {number}: expected 'start end word', found {line.strip()[:80]!r}"
            )
        start_s, end_s = (int(unit) / GRID_UNITS_PER_S for unit in fields[:2])
        if end_s < start_s or (words and start_s < (words[-1].start_s or 0.0)):
            raise _NotTranscriptError(f"line {number}: time runs backwards: {line.strip()!r}")
        if fields[2].lower() not in GRID_SILENCES:
            words.append(Word(fields[2], start_s, end_s))
    return tuple(words)


def _read_srt(text: str) -> tuple[Word, ...]:
    cues: list[tuple[float, float, list[str]]] = []
    after_blank = True
    for number, raw_line in enumerate(text.splitlines(), start=1):
        line = raw_line.strip()
        if times := CUE_TIMES.match(line):
            start_s, end_s = (_cue_seconds(times.groups()[side : side + 4]) for side in (0, 4))
            if end_s < start_s:
                raise _NotTranscriptError(f"line {number}: the cue ends before it starts")
            cues.append((start_s, end_s, []))
        elif "-->" in line:
            raise _NotTranscriptError(f"line {number}: not the times of a cue: {line[:80]!r}")
        elif cues and not (after_blank and line.isdecimal()):
            cues[-1][2].extend(CUE_MARKUP.sub(" ", line).split())
        elif not cues and line and not line.isdecimal():
            raise _NotTranscriptError(f"line {number}: {line[:80]!r} belongs to no cue")
        after_blank = not line
    # Subtitles of several speakers may overlap; their words take turns by their start.
    words = [word for cue in cues for word in _share_cue(*cue)]
    return tuple(sorted(words, key=lambda word: word.start_s or 0.0))


def _cue_seconds(fields: tuple[str, ...]) -> float:
    hours, minutes, seconds, fraction = fields
    whole = 3600 * int(hours) + 60 * int(minutes) + int(seconds)
    return whole + int(fraction.ljust(3, "0")) / 1000


def _share_cue(start_s: float, end_s: float, texts: list[str]) -> list[Word]:
    """Give every word of a cue its part of the time, in proportion to its length."""
    edges = [0]
    for text in texts:
        edges.append(edges[-1] + len(text))
    times_s = [start_s + (end_s - start_s) * edge / max(edges[-1], 1) for edge in edges]
    return [Word(*fields) for fields in zip(texts, times_s[:-1], times_s[1:], strict=True)]


def write_srt(transcript: Transcript, path: AnyPath, *, overwrite: bool = False) -> None:
    """Write a transcript as subtitles, one cue per word, so that no time is lost.

    Parameters
    ----------
    transcript : Transcript
        Words with their times. Subtitles know no time before zero: such times become zero.
    path : str or PathLike
        The file to write; it appears complete or not at all.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If a word has no time.
    MediaError
        If the file exists already or cannot be written.
    """
    from avalign.media.atomic import atomic_output

    cues = [
        f"{number}\n{_cue_time(start_s)} --> {_cue_time(end_s)}\n{text}\n"
        for number, (text, start_s, end_s) in enumerate(_timed(transcript), start=1)
    ]
    with atomic_output(path, overwrite) as temporary:
        temporary.write_text("\n".join(cues), encoding="utf-8", newline="\n")


def _cue_time(time_s: float) -> str:
    seconds, milliseconds = divmod(max(0, round(time_s * 1000)), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d},{milliseconds:03d}"


def _timed(transcript: Transcript) -> list[tuple[str, float, float]]:
    """Return every word with its times, or say which has none."""
    timed = []
    for word in transcript.words:
        if word.start_s is None or word.end_s is None:
            raise ParameterError(
                f"the word {word.text!r} has no time",
                "align the transcript with the sound first",
            )
        timed.append((word.text, word.start_s, word.end_s))
    return timed


def transcript_stream(
    transcript: Transcript,
    times_s: ArrayLike,
    *,
    feature: TextFeature = "characters",
    dim: int = 64,
    spread_s: float = 0.05,
) -> FeatureStream:
    """Put a transcript on a clock, as a stream that fuses with sound and lips.

    Parameters
    ----------
    transcript : Transcript
        Words with their times.
    times_s : array-like of shape (T,)
        Presentation times of the rows, strictly increasing; mostly those of the stream
        that the text joins.
    feature : {"characters", "words"}
        ``"characters"``: one column per character of ``a`` to ``z``, ``'`` and the digits
        and one for all others, each character in its share of the word's time.
        ``"words"``: `dim` columns, a hashed bag of each word's letter groups: words that
        are spelt alike have similar rows, no vocabulary is needed, and the same word has
        the same row everywhere.
    dim : int
        Columns of a hashed word.
    spread_s : float
        How far a word reaches beyond its times, falling to nothing: times are not exact,
        and a model should see no edge where there is none.

    Returns
    -------
    FeatureStream
        Kind ``"text"``, shape (T, D); D is 39 for characters, ``dim + 1`` for words. The
        last column is how much of the row no word takes up: 1 in silence. All rows are
        valid, since a transcript also tells where nothing is said.

    Raises
    ------
    ParameterError
        If a word has no time, or an argument cannot be used.

    References
    ----------
    .. [1] K. Weinberger et al., "Feature hashing for large scale multitask learning",
       ICML 2009.
    .. [2] P. Bojanowski et al., "Enriching word vectors with subword information",
       TACL 2017.
    """
    import numpy as np

    clock_s = np.asarray(times_s, np.float64)
    if clock_s.ndim != 1 or not np.isfinite(clock_s).all() or (np.diff(clock_s) <= 0).any():
        raise ParameterError(
            f"times_s must be one row of increasing times, not of shape {clock_s.shape}",
            "pass the clock of the stream that the text joins",
        )
    if feature not in ("characters", "words"):
        raise ParameterError(f"feature is {feature!r}", "use 'characters' or 'words'")
    if dim < 1:
        raise ParameterError(f"dim is {dim}", "use at least 1 column")
    if not (math.isfinite(spread_s) and spread_s >= 0):
        raise ParameterError(f"spread_s is {spread_s}", "use 0 or more seconds")
    pieces = _character_pieces if feature == "characters" else _word_pieces
    width = len(CHARACTERS) + 1 if feature == "characters" else dim
    values = np.zeros((len(clock_s), width + 1))
    taken = np.zeros(len(clock_s))
    for start_s, end_s, row in pieces(_timed(transcript), width):
        first, stop = np.searchsorted(clock_s, (start_s - spread_s, end_s + spread_s))
        near_s = clock_s[first : stop + 1]
        beyond_s = np.maximum(np.maximum(start_s - near_s, near_s - end_s), 0.0)
        weight = np.maximum(0.0, 1.0 - beyond_s / spread_s) if spread_s else beyond_s == 0
        values[first : stop + 1, :width] += weight[:, None] * row
        taken[first : stop + 1] += weight
    values /= np.maximum(taken, 1.0)[:, None]
    values[:, width] = np.maximum(0.0, 1.0 - taken)
    return FeatureStream(
        values.astype(np.float32), clock_s, np.ones(len(clock_s), np.bool_), "text"
    )


TimedRows: TypeAlias = "list[tuple[float, float, NDArray[np.float64]]]"


def _character_pieces(words: list[tuple[str, float, float]], width: int) -> TimedRows:
    import numpy as np

    columns = {character: column for column, character in enumerate(CHARACTERS)}
    rows = np.eye(width)
    pieces = []
    for text, start_s, end_s in words:
        characters = text.lower()
        edges_s = np.linspace(start_s, end_s, len(characters) + 1)
        for character, begin_s, stop_s in zip(
            characters, edges_s[:-1], edges_s[1:], strict=True
        ):
            row = rows[columns.get(character, width - 1)]
            pieces.append((float(begin_s), float(stop_s), row))
    return pieces


def _word_pieces(words: list[tuple[str, float, float]], width: int) -> TimedRows:
    return [(start_s, end_s, _hashed_word(text, width)) for text, start_s, end_s in words]


def _hashed_word(text: str, dim: int) -> NDArray[np.float64]:
    """Return the signed, hashed bag of a word's groups of three letters, of length 1."""
    import numpy as np

    framed = f"<{text.lower()}>"
    groups = [framed, *(framed[i : i + 3] for i in range(len(framed) - 2))]
    row = np.zeros(dim)
    for group in groups:
        digest = int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest())
        row[(digest >> 1) % dim] += 1.0 if digest & 1 else -1.0
    length = float(np.linalg.norm(row))
    return row / length if length else row
