"""Check a manifest before anything is learnt from it or measured on it.

It finds missing files, takes that are in training and test, speakers on both sides of a
split, labels spelt in two ways, and words that the alphabet cannot write.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.data.findings import Audit, Finding, Part
from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.data.splits import BY_SENTENCE, BY_SPEAKER, find_leaked_speakers, sentence_key
from avalign.data.words import row_transcript
from avalign.errors import AvalignError, ParameterError
from avalign.processes import cores

if TYPE_CHECKING:
    from avalign.types import MediaClip

# Containers round, and codecs pad: lengths closer than this are the same.
SAME_DURATION_S = 0.5
SHORTEST_S = 0.3
RARE_ROWS = 5
NO_PICTURE, NO_SOUND = "audio_only", "video_only"


def audit_manifest(
    manifest: Manifest,
    *,
    labels: Collection[str] | None = None,
    alphabet: Collection[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Audit:
    """Check the files, streams, splits, labels and words of a manifest.

    Parameters
    ----------
    manifest : Manifest
        What to check. Every file is read once, whole, for the hash of its content.
    labels : collection of str, optional
        The labels that are known; by default those of the split ``train``, if it has any.
    alphabet : collection of str, optional
        The characters that transcripts may hold besides blanks; by default any.
    jobs : int, optional
        Files read at once; by default as many as there are cores.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    Audit
        Counts, and all findings.

    Raises
    ------
    ParameterError
        If the manifest holds no rows, or the number of jobs cannot be used.
    """
    if not manifest.rows:
        raise ParameterError(f"{manifest.path} holds no rows", "list the files of a corpus")
    if jobs is not None and jobs < 1:
        raise ParameterError(f"jobs is {jobs}", "name at least one, or leave it out")
    files = _inspect(manifest, jobs or cores(), progress or (lambda fraction: None))
    findings = [
        *_check_files(manifest, files),
        *_check_duplicates(manifest, files),
        *_check_split(manifest),
        *_check_labels(manifest, labels),
        *_check_words(manifest, files, alphabet),
    ]
    return Audit(manifest.path, _parts(manifest, files), tuple(findings))


@dataclass(frozen=True, slots=True)
class _File:
    """What a look into one file told."""

    clip: MediaClip | None = None
    content: str = ""
    error: str = ""


_Files = dict[Path, _File]


def _inspect(manifest: Manifest, jobs: int, progress: Callable[[float], None]) -> _Files:
    paths = list(
        dict.fromkeys(path for row in manifest for path in (row.path, row.audio) if path)
    )
    files: _Files = {}
    pool = ThreadPoolExecutor(jobs)
    try:
        for path, file in zip(paths, pool.map(_look_into, paths), strict=True):
            files[path] = file
            progress(len(files) / len(paths))
    finally:
        pool.shutdown(cancel_futures=True)
    return files


def _look_into(path: Path) -> _File:
    from avalign.media import probe
    from avalign.streams import is_streams_file

    try:
        clip = _probe_streams(path) if is_streams_file(path) else probe(path)
        with path.open("rb") as file:
            return _File(clip, hashlib.file_digest(file, "sha256").hexdigest())
    except AvalignError as error:
        return _File(error=error.message.removeprefix(f"{path}: "))
    except OSError as error:
        return _File(error=error.strerror or str(error))


def _probe_streams(path: Path) -> MediaClip:
    """Tell of a file of streams what a probe tells of a video without sound."""
    from fractions import Fraction

    from avalign.streams import load_streams
    from avalign.types import MediaClip, VideoTrack

    streams = load_streams(path)
    rate = Fraction(streams.frame_rate).limit_denominator(1001)
    faces = tuple(
        VideoTrack(number, "lips", *lips.picture_size, rate, 0, 0.0, streams.duration_s)
        for number, lips in enumerate(streams.lips)
    )
    return MediaClip(path, "streams", streams.duration_s, (), faces)


def _check_files(manifest: Manifest, files: _Files) -> Iterator[Finding]:
    reported: set[Path] = set()
    for row in manifest:
        name = manifest.name_of(row)
        for path in (row.path, row.audio):
            if path and files[path].error and path not in reported:
                reported.add(path)
                where = name if path == row.path else str(path)
                yield Finding("file", True, where, files[path].error)
        video, audio = files[row.path].clip, files[row.audio or row.path].clip
        if video is None or audio is None:
            continue
        if row.role != NO_PICTURE and not video.video_tracks:
            yield Finding("streams", True, name, "has no picture")
        if row.role != NO_SOUND and not audio.audio_tracks:
            yield Finding("streams", True, name, "has no sound")
        yield from _check_durations(row, name, video, audio)


def _check_durations(
    row: ManifestRow, name: str, video: MediaClip, audio: MediaClip
) -> Iterator[Finding]:
    found_s = video.duration_s
    if found_s is None:
        yield Finding("duration", False, name, "does not say how long it is")
        return
    if found_s < SHORTEST_S:
        yield Finding("duration", True, name, f"lasts {found_s:.3f} s, too short for anything")
    for field, end_s in (("start", row.start_s), ("end", row.end_s)):
        if end_s is not None and end_s > found_s + SAME_DURATION_S:
            problem = f"lasts {found_s:.3f} s, but the row's {field} is at {end_s} s"
            yield Finding("duration", True, name, problem)
    is_whole = row.start_s is None and row.end_s is None
    span_s = min(_length_s(row, video), found_s - (row.start_s or 0.0))
    if not is_whole and 0.0 <= span_s < SHORTEST_S:
        problem = f"its span lasts {span_s:.3f} s, too short for anything"
        yield Finding("duration", True, name, problem)
    stated_s = row.duration_s
    if is_whole and stated_s is not None and abs(stated_s - found_s) > SAME_DURATION_S:
        problem = f"lasts {found_s:.3f} s, the manifest says {stated_s} s"
        yield Finding("duration", False, name, problem)
    audio_s = found_s if audio.duration_s is None else audio.duration_s
    if row.audio and abs(audio_s - found_s) > SAME_DURATION_S:
        problem = f"lasts {found_s:.3f} s, its separate sound {audio_s:.3f} s"
        yield Finding("duration", False, name, problem)


def _check_duplicates(manifest: Manifest, files: _Files) -> Iterator[Finding]:
    first_of: dict[object, ManifestRow] = {}
    for row in manifest:
        content = files[row.path].content
        if not content:
            continue
        key = content, row.audio and files[row.audio].content, row.start_s, row.end_s
        first = first_of.setdefault(key, row)
        if first is row:
            continue
        problem = f"holds the same as {manifest.name_of(first)}"
        differs = [
            f"{field} {getattr(first, field)!r} and {getattr(row, field)!r}"
            for field in ("split", "label", "speaker")
            if getattr(first, field) != getattr(row, field)
        ]
        if differs:
            problem += f", under {', '.join(differs)}"
        yield Finding("duplicate", bool(differs), manifest.name_of(row), problem)


def _check_split(manifest: Manifest) -> Iterator[Finding]:
    for name in sorted({row.split_by for row in manifest} - {"", BY_SPEAKER, BY_SENTENCE}):
        problem = f"no such way to split; choose {BY_SPEAKER!r} or {BY_SENTENCE!r}"
        yield Finding("split", True, name, problem)
    rows = [row for row in manifest if row.split]
    if not rows:
        return
    if len(rows) < len(manifest):
        n_without = len(manifest) - len(rows)
        yield Finding("split", False, "rows", f"{n_without} are in no part of the split")
    for speaker, parts in find_leaked_speakers(manifest).items():
        problem = f"this speaker is in {' and '.join(parts)}; is split_by={BY_SENTENCE} meant?"
        yield Finding("split", True, speaker, problem)
    n_nameless = sum(not row.speaker for row in rows)
    if n_nameless:
        problem = f"{n_nameless} name no speaker, so nobody knows whether they leak"
        yield Finding("split", False, "rows", problem)
    parts_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row.split_by == BY_SENTENCE and row.text:
            parts_of[row.speaker, sentence_key(row)].add(row.split)
    repeated = Counter(speaker for (speaker, _), parts in parts_of.items() if len(parts) > 1)
    for speaker, count in sorted(repeated.items()):
        problem = f"{count} of the sentences of this speaker are in several parts"
        yield Finding("split", False, speaker, problem)


def _check_labels(manifest: Manifest, labels: Collection[str] | None) -> Iterator[Finding]:
    counts = Counter(row.label for row in manifest if row.label)
    if not counts:
        return
    n_without = len(manifest) - sum(counts.values())
    if n_without:
        yield Finding("label", False, "rows", f"{n_without} have no label")
    learnt = {row.label for row in manifest.select(split="train") if row.label}
    known, where = (
        (set(labels), "among those named") if labels is not None else (learnt, "in train")
    )
    spellings: dict[str, list[str]] = defaultdict(list)
    for label, count in sorted(counts.items()):
        spellings[label.casefold()].append(label)
        if known and label not in known:
            problem = f"{_rows(count)} of this label, which is not {where}"
            yield Finding("label", True, label, problem)
        elif count < RARE_ROWS:
            problem = f"only {_rows(count)}; is it spelt as the others?"
            yield Finding("label", False, label, problem)
    for same in spellings.values():
        if len(same) > 1:
            problem = f"{', '.join(map(repr, same))} differ in capitals only"
            yield Finding("label", True, same[0], problem)


def _check_words(
    manifest: Manifest, files: _Files, alphabet: Collection[str] | None
) -> Iterator[Finding]:
    foreign: dict[str, list[str]] = defaultdict(list)
    for row in manifest:
        name = manifest.name_of(row)
        try:
            transcript = row_transcript(row)
        except AvalignError as error:
            yield Finding("transcript", True, name, error.message)
            continue
        if transcript is None:
            continue
        if not transcript.words:
            yield Finding("transcript", False, name, "its transcript holds no words")
            continue
        clip = files[row.path].clip
        length_s = math.inf if clip is None else _length_s(row, clip)
        last_s = transcript.words[-1].end_s or 0.0
        if last_s > length_s + SAME_DURATION_S:
            problem = f"lasts {length_s:.3f} s, but its last word ends at {last_s:.3f} s"
            yield Finding("transcript", False, name, problem)
        if alphabet is not None:
            for character in sorted(set(transcript.text) - set(alphabet) - {" "}):
                foreign[character].append(name)
    for character, names in sorted(foreign.items()):
        problem = f"not in the alphabet, but in {_rows(len(names))}, such as {names[0]}"
        yield Finding("transcript", True, repr(character), problem)


def _parts(manifest: Manifest, files: _Files) -> tuple[Part, ...]:
    parts = []
    for name in sorted({row.split for row in manifest}):
        rows = [row for row in manifest if row.split == name]
        labels = Counter(row.label for row in rows if row.label)
        parts.append(
            Part(
                name,
                len(rows),
                len({row.speaker for row in rows if row.speaker}),
                sum(_length_s(row, files[row.path].clip) for row in rows),
                dict(sorted(labels.items(), key=lambda item: (-item[1], item[0]))),
            )
        )
    return tuple(parts)


def _length_s(row: ManifestRow, clip: MediaClip | None) -> float:
    whole_s = row.duration_s if clip is None else clip.duration_s
    end_s = row.end_s if row.end_s is not None else whole_s
    return max(0.0, (end_s or 0.0) - (row.start_s or 0.0))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
