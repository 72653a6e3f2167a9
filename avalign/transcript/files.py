"""Transcripts in files: word times of GRID, subtitles, plain text."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from avalign.errors import MediaError, ParameterError
from avalign.transcript.words import Transcript, Word, timed_words

AnyPath: TypeAlias = str | PathLike[str]

MAX_BYTES = 2**22  # more than a day of subtitles
GRID_UNITS_PER_S = 25_000
GRID_SILENCES = frozenset({"sil", "sp"})
CUE_TIMES = re.compile(
    r"(\d{1,4}):(\d{1,2}):(\d{1,2})[,.](\d{1,3})\s*-->\s*(\d{1,4}):(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
)
CUE_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")


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
    from avalign.files import local_file

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
    words = [word for cue in cues for word in _divide_cue(*cue)]
    return tuple(sorted(words, key=lambda word: word.start_s or 0.0))


def _cue_seconds(fields: tuple[str, ...]) -> float:
    hours, minutes, seconds, fraction = fields
    whole = 3600 * int(hours) + 60 * int(minutes) + int(seconds)
    return whole + int(fraction.ljust(3, "0")) / 1000


def _divide_cue(start_s: float, end_s: float, texts: list[str]) -> list[Word]:
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
    from avalign.files import atomic_output

    cues = [
        f"{number}\n{_cue_time(start_s)} --> {_cue_time(end_s)}\n{text}\n"
        for number, (text, start_s, end_s) in enumerate(timed_words(transcript), start=1)
    ]
    with atomic_output(path, overwrite) as temporary:
        temporary.write_text("\n".join(cues), encoding="utf-8", newline="\n")


def _cue_time(time_s: float) -> str:
    seconds, milliseconds = divmod(max(0, round(time_s * 1000)), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d},{milliseconds:03d}"
