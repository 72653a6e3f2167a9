"""Machine code that outlives the process, and never the sources that it was made of."""

import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core import event

from avalign.dtw import compiled

COUNT_COMPILATIONS = """
import numpy as np
from numba.core import event
from avalign import dtw
for shape in ((50,), (50, 3)):
    x, y = np.random.default_rng(0).standard_normal((2, *shape))
    with event.install_recorder("numba:compile") as compilations:
        dtw.distance(x, y)
        dtw.path(x, y)
        if x.ndim == 1:
            dtw.subsequence(x[:9], y)
    print(len(compilations.buffer))
"""


@pytest.mark.slow
def test_later_processes_compile_neither_distance_nor_path_nor_subsequence():
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", COUNT_COMPILATIONS],
            capture_output=True,
            text=True,
            check=True,
        )
    assert run.stdout.split() == ["0", "0"]


def test_settings_of_numba_in_the_current_directory_are_not_read(tmp_path):
    """They would name the folder that machine code is loaded from."""
    (tmp_path / ".numba_config.yaml").write_text("cache_dir: planted\nopt: 0\n")
    # Stands in for PyYAML, without which numba reads none.
    (tmp_path / "yaml.py").write_text(
        "__version__ = '0'\ndef safe_load(file):\n"
        "    return dict(line.split(': ') for line in file.read().splitlines())\n"
    )
    script = """
import numba
assert numba.config.CACHE_DIR == "planted"
import avalign.dtw.compiled
from numba.core import config
config.reload_config()
print(repr(config.CACHE_DIR))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["''"]


@pytest.fixture
def cache_of_sources(tmp_path, monkeypatch):
    """Return a function that takes the stamp of the sources and makes a kernel of them."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def make(stamp):
        monkeypatch.setattr(compiled, "STAMP", stamp)
        monkeypatch.setattr(compiled, "_stamp_sources", lambda: stamp)
        return compiled.njit(_total)

    return make


def _total(x):
    return x.sum()


def compilations_of(kernel):
    with event.install_recorder("numba:compile") as compilations:
        assert kernel(np.arange(4.0)) == 6.0
    return len(compilations.buffer)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_sources_share_a_kernel(cache_of_sources):
    assert compilations_of(cache_of_sources("a" * 64)) > 0
    assert compilations_of(cache_of_sources("a" * 64)) == 0


def test_other_sources_replace_it(cache_of_sources, tmp_path):
    assert compilations_of(cache_of_sources("a" * 64)) > 0
    before = files(tmp_path)
    assert compilations_of(cache_of_sources("b" * 64)) > 0
    assert len(before) == len(files(tmp_path)) == 2
    assert not before.keys() & files(tmp_path).keys()


def test_an_index_that_cannot_be_understood_belongs_to_other_sources(
    cache_of_sources, tmp_path
):
    assert compilations_of(cache_of_sources("a" * 64)) > 0
    for path in tmp_path.rglob("*.nbi"):
        # As when it names a class that the package no longer has.
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert compilations_of(cache_of_sources("b" * 64)) > 0


@pytest.mark.parametrize("suffix", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("damage", [b"", b"garbage\n", None])
def test_a_damaged_file_only_costs_the_compilation(cache_of_sources, tmp_path, suffix, damage):
    assert compilations_of(cache_of_sources("a" * 64)) > 0
    (path,) = tmp_path.rglob(suffix)
    path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
    assert compilations_of(cache_of_sources("a" * 64)) > 0
    assert compilations_of(cache_of_sources("a" * 64)) == 0


def make_with_helper(helper):
    """Make a kernel that closes over another, as at the start of a process."""

    def total(x):
        return helper(x)

    return compiled.njit(total)


def _total_of_doubled(x):
    return (x + x).sum() / 2


def test_a_kernel_is_kept_with_the_helper_it_closes_over(cache_of_sources):
    cache_of_sources("a" * 64)
    assert compilations_of(make_with_helper(compiled.helper(_total))) > 0
    assert compilations_of(make_with_helper(compiled.helper(_total))) == 0
    assert compilations_of(make_with_helper(compiled.helper(_total_of_doubled))) > 0


def test_nothing_is_kept_once_sources_changed(cache_of_sources, tmp_path, monkeypatch):
    kernel = cache_of_sources("a" * 64)
    monkeypatch.setattr(compiled, "_stamp_sources", lambda: "b" * 64)
    assert compilations_of(kernel) > 0
    assert not files(tmp_path)
