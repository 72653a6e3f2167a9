"""Saved estimators of strangers, and folders that are not ours."""

import json
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spaces import fitted, planted  # noqa: E402

from avalign.errors import MediaError  # noqa: E402
from avalign.space import (  # noqa: E402
    build_space,
    load_space,
)


@pytest.fixture
def saved(tmp_path):
    fitted("joint").save(tmp_path / "joint")
    return tmp_path / "joint"


def change_settings(folder, **changes):
    path = folder / "estimator.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"estimator": "os.system"},
        {"estimator": ["joint"]},
        {"parameters": [1]},
        {"parameters": {"components": 10**9}},
        {"parameters": {"hidden": [10**12]}},
        {"parameters": {"hidden": "ab"}},
        {"parameters": {"steps": 1e999}},
        {"parameters": {"network_": 3}},
        {"columns": {"audio": 6}},
        {"columns": {"audio": 10**9, "lips": 5}},
        {"columns": {"audio": True, "lips": 5}},
        {"columns": None},
        # The widest network that settings allow has other shapes than the arrays.
        {"parameters": {"hidden": [4096] * 8}},
    ],
)
def test_settings_of_strangers_are_refused(saved, changes):
    change_settings(saved, **changes)
    with pytest.raises(MediaError, match=r"joint|os\.system"):
        load_space(saved)


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "3", '{"format": 1}', "\x00"])
def test_settings_that_are_none_are_refused(saved, text):
    (saved / "estimator.json").write_text(text)
    with pytest.raises(MediaError, match=r"estimator.json: (cannot|is empty)"):
        load_space(saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays: arrays.popitem(), "is missing"),
        (lambda arrays: arrays.update(odd=np.zeros(1)), "'odd' does not belong here"),
        (lambda arrays: arrays.update({"audio.0.mean": np.zeros(6)}), "found float64"),
        (lambda arrays: arrays.update({"audio.0.mean": np.zeros(7, "f4")}), r"found .*\(7,\)"),
        (lambda arrays: arrays["audio.0.mean"].fill(np.nan), "not finite"),
    ],
)
def test_damaged_arrays_are_refused(saved, change, words):
    from safetensors.numpy import load_file, save_file

    arrays = load_file(saved / "arrays.safetensors")
    change(arrays)
    save_file(arrays, saved / "arrays.safetensors")
    with pytest.raises(MediaError, match=words):
        load_space(saved)


def test_arrays_that_are_none_are_refused(saved):
    (saved / "arrays.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(MediaError, match=r"arrays.safetensors: cannot be read"):
        load_space(saved)
    (saved / "arrays.safetensors").unlink()
    with pytest.raises(MediaError):
        load_space(saved)
    with pytest.raises(MediaError, match="absent"):
        load_space(saved / "absent")


def test_an_estimator_of_another_class_is_refused(saved):
    with pytest.raises(MediaError, match="holds 'joint', not CanonicalSpace"):
        type(fitted("cca")).load(saved)


def test_folders_of_others_are_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(MediaError, match="else than a saved estimator"):
        fitted("cca").save(tmp_path / "mine", overwrite=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(MediaError, match="else than a saved estimator"):
        fitted("cca").save(tmp_path / "file", overwrite=True)
    with pytest.raises(MediaError, match="no such folder"):
        fitted("cca").save(tmp_path / "gone" / "space")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_numbers_of_any_kind_are_kept(tmp_path):
    audio, lips, groups = planted()
    settings = {"components": np.array(2), "regularisation": Fraction(1, 8)}
    build_space("cca", **settings).fit(audio, lips, groups).save(tmp_path / "cca")
    loaded = load_space(tmp_path / "cca")
    assert (loaded.components, loaded.regularisation) == (2, 0.125)
