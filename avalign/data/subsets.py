"""Subsets of the labels, to see how many of them a task needs."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from typing import TYPE_CHECKING

from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.errors import ParameterError

if TYPE_CHECKING:
    from pathlib import Path


def label_subset(manifest: Manifest, fraction: float, *, seed: int = 0) -> Manifest:
    """Keep a fraction of the labelled rows, drawn alike from every label and speaker.

    Subsets of one seed are nested: what 1 % holds is in the 10 %, too, so that a curve
    over fractions shows the effect of more labels, not of other ones.

    Parameters
    ----------
    manifest : Manifest
        Rows, such as those of the split ``train``; rows without a label are left out.
    fraction : float
        Above 0, up to 1. Of each label it is rounded up: none is lost.
    seed : int
        Same seed, same rows, whatever their order.

    Returns
    -------
    Manifest
        The rows, in file order.

    Raises
    ------
    ParameterError
        If the fraction is out of range, or no row has a label.

    References
    ----------
    O. Hénaff et al., "Data-efficient image recognition with contrastive predictive
    coding", ICML 2020 (curves over fractions of the labels).
    """
    if not 0 < fraction <= 1:
        raise ParameterError(f"the fraction of labels is {fraction}", "choose above 0, up to 1")
    by_label: dict[str, list[ManifestRow]] = defaultdict(list)
    for row in manifest:
        if row.label:
            by_label[row.label].append(row)
    if not by_label:
        raise ParameterError(
            f"none of the {len(manifest)} rows of {manifest.path} has a label",
            "fill the column 'label'",
        )
    chosen: set[tuple[Path, float | None, float | None]] = set()
    for label, rows in sorted(by_label.items()):
        # What is left of rounding does not count: 0.07 * 100 is a little more than 7.
        count = math.ceil(fraction * len(rows) - 1e-9)
        drawn = _spread_over_speakers(rows, f"{seed} {label}")[: max(count, 1)]
        chosen.update(row.span for row in drawn)
    return Manifest(manifest.path, tuple(row for row in manifest if row.span in chosen))


def _spread_over_speakers(rows: list[ManifestRow], seed: str) -> list[ManifestRow]:
    """Order rows at random so that every beginning holds all speakers alike."""
    by_speaker: dict[str, list[ManifestRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (str(row.path), row.start_s or 0.0)):
        by_speaker[row.speaker_key].append(row)
    generator = random.Random(seed)
    placed = []
    for speaker, of_speaker in sorted(by_speaker.items()):
        generator.shuffle(of_speaker)
        # A speaker's rows lie evenly between 0 and 1, from a random start.
        start = generator.random()
        placed += [
            ((number + start) / len(of_speaker), speaker, row)
            for number, row in enumerate(of_speaker)
        ]
    return [row for _, _, row in sorted(placed, key=lambda one: one[:2])]
