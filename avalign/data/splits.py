"""Splits by speaker, or by sentence where that is declared.

A speaker in training and in test makes scores too high. Every split here is a manifest whose
rows name their part (``split``) and what separates the parts (``split_by``); `read_split`
refuses it where speakers have leaked.
"""

from __future__ import annotations

import math
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from statistics import median

from avalign.data.manifest import Manifest, read_manifest
from avalign.data.rows import ManifestRow
from avalign.errors import ParameterError

BY_SPEAKER, BY_SENTENCE = "speaker", "sentence"
FRACTIONS = {"train": 0.8, "dev": 0.1, "test": 0.1}


def speaker_split(
    manifest: Manifest, fractions: Mapping[str, float] | None = None, *, seed: int = 0
) -> Manifest:
    """Give every speaker to one part, such as train, dev or test.

    Parameters
    ----------
    manifest : Manifest
        What to split.
    fractions : mapping of str to float, optional
        Fraction of the seconds each part should get, of any sum; by default train 0.8, dev
        0.1 and test 0.1. A speaker goes where most is missing, so every part gets one.
    seed : int
        Same seed, same split.

    Returns
    -------
    Manifest
        The rows with their parts, by speaker.

    Raises
    ------
    ParameterError
        If the fractions cannot be used, or there are fewer speakers than parts.
    """
    part_of = _assign_parts(
        manifest, _check_fractions(fractions), lambda row: row.speaker_key, "speakers", seed
    )
    return with_parts(manifest, lambda row: part_of[row.speaker_key], BY_SPEAKER)


def sentence_split(
    manifest: Manifest, fractions: Mapping[str, float] | None = None, *, seed: int = 0
) -> Manifest:
    """Give every sentence to one part, although its speaker is heard in all of them.

    For a corpus of one speaker, or for results on speakers that were seen, which then
    must be said. Rows with the same words go to the same part.

    Parameters
    ----------
    manifest : Manifest
        What to split.
    fractions : mapping of str to float, optional
        As in `speaker_split`.
    seed : int
        Same seed, same split.

    Returns
    -------
    Manifest
        The rows with their parts, by sentence.

    Raises
    ------
    ParameterError
        If the fractions cannot be used, or there are fewer sentences than parts.
    """
    part_of = _assign_parts(
        manifest, _check_fractions(fractions), sentence_key, "sentences", seed
    )
    return with_parts(manifest, lambda row: part_of[sentence_key(row)], BY_SENTENCE)


def read_split(path: str | os.PathLike[str]) -> Manifest:
    """Read a published split, and refuse it where speakers have leaked.

    Parameters
    ----------
    path : path-like
        A manifest with the column ``split``.

    Returns
    -------
    Manifest
        Its rows.

    Raises
    ------
    ParameterError
        If the table is no manifest, or no split; see `check_split`.
    MediaError
        If the file cannot be read.
    """
    manifest = read_manifest(path)
    check_split(manifest)
    return manifest


def check_split(manifest: Manifest) -> None:
    """Refuse a split that cannot be trusted.

    Parameters
    ----------
    manifest : Manifest
        Rows with their parts.

    Raises
    ------
    ParameterError
        If there are no rows, a row has no part, ``split_by`` is unknown, or a speaker is
        in several parts without a declared split by sentence; the message names it.
    """
    if not manifest.rows:
        raise ParameterError(f"{manifest.path} holds no rows", "list the files of a corpus")
    for row in manifest:
        if not row.split:
            raise ParameterError(
                f"{manifest.name_of(row)} is in no part of the split",
                "fill the column 'split', or make one with avalign data split",
            )
        if row.split_by not in ("", BY_SPEAKER, BY_SENTENCE):
            raise ParameterError(
                f"{manifest.name_of(row)} is split by {row.split_by!r}",
                f"write {BY_SPEAKER!r} or {BY_SENTENCE!r} in the column 'split_by'",
            )
    for speaker, parts in find_leaked_speakers(manifest).items():
        raise ParameterError(
            f"the speaker {speaker!r} is in {' and '.join(parts)}",
            f"keep each speaker in one part, or declare split_by={BY_SENTENCE}",
        )


def find_leaked_speakers(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Find the speakers that are on several sides of a split without a declaration.

    Parameters
    ----------
    manifest : Manifest
        Rows with their parts.

    Returns
    -------
    dict of str to tuple of str
        Each such speaker with its parts, sorted.
    """
    parts: dict[str, set[str]] = defaultdict(set)
    undeclared: set[str] = set()
    for row in manifest:
        if row.speaker and row.split:
            parts[row.speaker].add(row.split)
            if row.split_by != BY_SENTENCE:
                undeclared.add(row.speaker)
    return {
        speaker: tuple(sorted(parts[speaker]))
        for speaker in sorted(undeclared)
        if len(parts[speaker]) > 1
    }


def sentence_key(row: ManifestRow) -> str:
    """Return the words of a row without regard to case and blanks, or its file."""
    return " ".join(row.text.casefold().split()) or f"\0{row.path}\0{row.start_s}"


def _assign_parts(
    manifest: Manifest,
    fractions: Mapping[str, float],
    key: Callable[[ManifestRow], str],
    what: str,
    seed: int,
) -> dict[str, str]:
    """Give each group of rows, in random order, to the part that lacks most."""
    seconds = sum_seconds(manifest.rows, key)
    if len(seconds) < len(fractions):
        raise ParameterError(
            f"{len(seconds)} {what} cannot be dealt to {len(fractions)} parts",
            "name fewer parts, or split a single speaker by sentence, and say so",
        )
    total_s = sum(seconds.values()) or 1.0
    wanted_s = {
        part: total_s * fraction / sum(fractions.values())
        for part, fraction in fractions.items()
    }
    given_s = dict.fromkeys(fractions, 0.0)
    part_of: dict[str, str] = {}
    groups = shuffle_groups(seconds, seed)
    for left, group in zip(range(len(groups), 0, -1), groups, strict=True):
        empty = [part for part in fractions if part not in part_of.values()]
        # The last groups are for the parts that have none yet.
        choice = empty if len(empty) == left else list(fractions)
        part = max(choice, key=lambda name: 1 - given_s[name] / wanted_s[name])
        part_of[group] = part
        given_s[part] += seconds[group]
    return part_of


def _check_fractions(fractions: Mapping[str, float] | None) -> Mapping[str, float]:
    fractions = FRACTIONS if fractions is None else fractions
    if len(fractions) < 2 or not all(
        part and 0 < fraction < math.inf for part, fraction in fractions.items()
    ):
        raise ParameterError(
            f"the parts {dict(fractions)} make no split",
            "name two parts or more, each with a number above zero",
        )
    return fractions


def sum_seconds(
    rows: Iterable[ManifestRow], key: Callable[[ManifestRow], str]
) -> dict[str, float]:
    """Add up the seconds of each group; a row that does not say is as long as the median."""
    rows = tuple(rows)
    known_s = [row.duration_s for row in rows if row.duration_s is not None]
    typical_s = median(known_s) if known_s else 1.0
    seconds: dict[str, float] = defaultdict(float)
    for row in rows:
        seconds[key(row)] += typical_s if row.duration_s is None else row.duration_s
    return dict(seconds)


def shuffle_groups(groups: Iterable[str], seed: int) -> list[str]:
    """Shuffle groups, the same for the same seed whatever their order."""
    shuffled = sorted(groups)
    random.Random(seed).shuffle(shuffled)
    return shuffled


def with_parts(
    manifest: Manifest, part_of: Callable[[ManifestRow], str], split_by: str
) -> Manifest:
    """Name the part of every row, and what separates the parts."""
    rows = tuple(replace(row, split=part_of(row), split_by=split_by) for row in manifest.rows)
    return Manifest(manifest.path, rows)
