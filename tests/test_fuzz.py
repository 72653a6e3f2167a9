"""A short campaign of damaged files of every kind, the same at every run."""

import os
import tempfile
import time
from collections import Counter

import numpy as np
import pytest
from fuzz.campaign import BAD, Limits, campaign, damaged_files
from fuzz.layouts import layout_of, mended
from fuzz.seeds import Seed, make_seeds

from avalign.errors import MediaError

pytest.importorskip("torch")
pytest.importorskip("pyarrow")

FILES = 250


@pytest.fixture(scope="module")
def seeds():
    return make_seeds()


@pytest.mark.slow
def test_seeds_and_damages_are_always_the_same(seeds):
    other = {each.name for each, seed in zip(make_seeds(), seeds, strict=True) if each != seed}
    assert not other
    for number in range(50):
        (seed, files, how, random), again = (damaged_files(seeds, 1, number) for _ in range(2))
        assert again[:3] == (seed, files, how)
        assert again[3].random() == random.random()
        assert files.keys() == seed.files.keys()


@pytest.mark.slow
def test_parts_of_containers_are_found_and_check_sums_kept(seeds):
    found = {seed.name: layout_of(seed.data) for seed in seeds if seed.target == "video"}
    without = {name for name, layout in found.items() if not layout.parts or not layout.clocks}
    assert without == {"talk.nut", "talk.gxf"}
    for seed in seeds:
        assert mended(seed.data) == seed.data, seed.name


@pytest.mark.parametrize("data", [b"\0\0\1", b"\0\0\1\0\0\0\1"])
def test_start_codes_may_all_be_lost(data):
    assert layout_of(data).parts == []


def test_a_clock_that_was_moved_is_read_back(seeds):
    """In a transport stream, whose stamps have 33 bits in pieces."""
    data = next(seed.data for seed in seeds if seed.name == "talk.ts")
    clock = next(one for one in layout_of(data).clocks if one.order == "clock")
    moved = bytearray(data)
    clock.write(moved, 2**33 - 5)
    assert clock.read(moved) == 2**33 - 5
    assert sum(one != other for one, other in zip(moved, data, strict=True)) <= 5


@pytest.mark.slow
def test_nothing_but_answers_and_clean_errors():
    trials = list(
        campaign(list(range(FILES)), campaign_seed=1, jobs=2, limits=Limits(seconds=60.0))
    )
    bad = [trial for trial in trials if trial.outcome in BAD]
    assert not bad, "\n".join(f"{each.number} {each.name}: {each.detail}" for each in bad)
    counts = Counter(trial.outcome for trial in trials)
    # It would say nothing if all were refused at the first look.
    assert counts["answer"] + counts["no answer"] > FILES / 4
    assert len({trial.target for trial in trials}) == 8


def planted(path, random):
    """Stand in for a reader: every trial shows another fault."""
    fault = {
        "0": lambda: [],
        "1": lambda: 1 / 0,
        "2": lambda: time.sleep(60),
        "3": lambda: np.ones(10**8),
        "4": lambda: os._exit(9),
        "5": lambda: path.with_name("left.tmp").touch(),
        "6": lambda: LEAKED.append(path.open()),
        "7": lambda: _refuse("two\nlines"),
        "8": lambda: _refuse(f"{path}: {path}: is empty"),
        "9": lambda: _refuse(f"{path}: is empty"),
        "10": lambda: path.write_text("changed"),
        "11": lambda: open(tempfile.mkstemp()[0]).close(),
    }[path.parent.name]
    fault()
    return []


LEAKED = []


def _refuse(words):
    raise MediaError(words)


@pytest.mark.slow
def test_every_fault_is_noticed(tmp_path):
    seed = Seed("planted", "x.txt", {"x.txt": b"some text"})
    trials = campaign(
        list(range(12)),
        campaign_seed=1,
        jobs=2,
        offenders=tmp_path,
        limits=Limits(5.0, 500 * 10**6),
        seeds=[seed],
        targets={"planted": planted},
    )
    found = {trial.number: trial.outcome for trial in trials}
    assert found == {
        **{0: "answer", 1: "exception", 2: "hang", 3: "memory", 4: "crash", 5: "leftover"},
        **{6: "descriptor", 7: "unclear", 8: "unclear", 9: "refused", 10: "leftover"},
        11: "leftover",
    }
    assert len(list(tmp_path.glob("*/x.txt"))) == 10
