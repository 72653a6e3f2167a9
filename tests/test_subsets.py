"""Fractions of the labels: how many, of whom, and that more of them hold the fewer."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.data.subsets import label_subset
from avalign.errors import ParameterError


def corpus(clips=20, labels=("calm", "happy", "sad"), speakers=5):
    rows = [
        ManifestRow(Path(f"/corpus/{who}/{label}{number}.mp4"), speaker=f"s{who}", label=label)
        for who in range(speakers)
        for label in labels
        for number in range(clips)
    ]
    rows.append(ManifestRow(Path("/corpus/unknown.mp4"), speaker="s0"))
    return Manifest(Path("/corpus/manifest.csv"), tuple(rows))


def paths(manifest):
    return {row.path for row in manifest}


@pytest.mark.parametrize("seed", range(3))
def test_each_label_and_speaker_gives_its_fraction(seed):
    found = label_subset(corpus(), 0.1, seed=seed)
    assert Counter(row.label for row in found) == {"calm": 10, "happy": 10, "sad": 10}
    cells = Counter((row.label, row.speaker) for row in found)
    assert set(cells.values()) == {2}
    assert len(cells) == 15


def test_subsets_are_nested():
    fractions = (0.01, 0.05, 0.1, 0.37, 0.9, 1.0)
    found = [paths(label_subset(corpus(), fraction, seed=4)) for fraction in fractions]
    for few, more in pairwise(found):
        assert few < more


def test_all_is_all_that_is_labelled_in_order():
    manifest = corpus()
    assert label_subset(manifest, 1.0).rows == manifest.rows[:-1]


def test_no_label_is_lost():
    found = label_subset(corpus(clips=2), 0.001)
    assert Counter(row.label for row in found) == {"calm": 1, "happy": 1, "sad": 1}


def test_rounding_adds_no_row():
    found = label_subset(corpus(clips=20, labels=("calm",)), 0.07)
    assert len(found) == 7


def test_the_seed_decides_and_the_order_does_not():
    manifest = corpus()
    turned = Manifest(manifest.path, manifest.rows[::-1])
    first = paths(label_subset(manifest, 0.1, seed=1))
    assert first == paths(label_subset(turned, 0.1, seed=1))
    assert first != paths(label_subset(manifest, 0.1, seed=2))


def test_speakers_are_drawn_too():
    # One row of each label: whose it is, is left to chance.
    drawn = {
        row.speaker for seed in range(20) for row in label_subset(corpus(), 0.001, seed=seed)
    }
    assert len(drawn) == 5


@pytest.mark.parametrize("fraction", [0.0, -1, 1.01, float("nan")])
def test_fractions_out_of_range_are_refused(fraction):
    with pytest.raises(ParameterError, match="the fraction of labels is"):
        label_subset(corpus(), fraction)


def test_a_manifest_without_labels_is_refused():
    with pytest.raises(ParameterError, match=r"none of the 1 rows .* has a label"):
        label_subset(corpus(clips=0), 0.5)
