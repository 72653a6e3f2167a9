"""Every estimator of a shared space: the interface they share, and wrong use of it."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spaces import LENGTH, QUICK, fitted, planted  # noqa: E402

from avalign.errors import MediaError, ParameterError  # noqa: E402
from avalign.space import (  # noqa: E402
    SPACES,
    SpaceSettings,
    build_space,
    find_space,
    list_spaces,
    load_space,
)
from avalign.space.learning.estimator import SpaceEstimator  # noqa: E402

# What an estimator that knows nothing would score on the data of `planted(seed=1)`.
CHANCE = {"joint": 1 / 480, "ranking": 1 / 480, "contrastive": 1 / 24}


@pytest.mark.slow
@pytest.mark.parametrize("name", list_spaces())
def test_each_learns_what_holds_for_clips_it_has_not_seen(name):
    score = fitted(name).score(*planted(seed=1))
    assert score <= 1
    assert score > 5 * CHANCE[name] if name in CHANCE else score > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("name", list_spaces())
def test_what_was_learnt_breaks_with_the_pairing(name):
    audio, lips, groups = planted(seed=1)
    strangers = np.roll(lips, 7 * LENGTH // 2, axis=0)
    matched = fitted(name).score(audio, lips, groups)
    assert fitted(name).score(audio, strangers, groups) < matched - min(0.2, matched / 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_spaces())
def test_sides_are_mapped_alone_or_together_alike(name):
    audio, lips, groups = planted(seed=2, clips=3)
    both = fitted(name).transform(audio, lips, groups)
    np.testing.assert_array_equal(fitted(name).transform(audio, groups=groups), both[0])
    np.testing.assert_array_equal(fitted(name).transform(lips=lips, groups=groups), both[1])
    assert len(both[0]) == len(both[1]) == 3 * LENGTH
    assert np.isfinite(both[0]).all()
    assert np.isfinite(both[1]).all()
    # No clip knows of the others.
    alone = fitted(name).transform(audio[:LENGTH])
    np.testing.assert_allclose(both[0][:LENGTH], alone, atol=1e-4)


@pytest.mark.parametrize("name", list_spaces())
def test_files_round_trip(name, tmp_path):
    audio, lips, groups = planted(seed=3, clips=2)
    folder = tmp_path / "space"
    fitted(name).save(folder)
    assert sorted(each.name for each in tmp_path.rglob("*")) == [
        "arrays.safetensors",
        "estimator.json",
        "space",
    ]
    for loaded in (load_space(folder), type(fitted(name)).load(folder)):
        assert type(loaded) is type(fitted(name))
        assert loaded.get_params() == fitted(name).get_params()
        for ours, theirs in zip(
            loaded.transform(audio, lips, groups),
            fitted(name).transform(audio, lips, groups),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(MediaError, match="exists"):
        fitted(name).save(folder)
    fitted(name).save(folder, overwrite=True)
    assert load_space(folder).get_params() == fitted(name).get_params()


@pytest.mark.parametrize("name", [name for name in list_spaces() if name != "cca"])
def test_same_seed_same_space_and_chance_is_left_as_it_was(name):
    audio, lips, groups = planted(clips=3, length=40)
    quick = {**QUICK[name], "steps": 3} if "steps" in QUICK[name] else QUICK[name]
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second, other = (
        build_space(name, **quick).set_params(seed=seed).fit(audio, lips, groups)
        for seed in (3, 3, 4)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(first.transform(audio), second.transform(audio))
    assert not np.array_equal(first.transform(audio), other.transform(audio))


@pytest.mark.parametrize("name", list_spaces())
def test_scikit_learn_clones_each(name):
    base = pytest.importorskip("sklearn.base")
    estimator = build_space(name, **QUICK[name])
    copy = base.clone(estimator)
    assert copy is not estimator
    assert copy.get_params() == estimator.get_params()
    assert repr(copy) == repr(estimator)


def test_scikit_learn_searches_over_settings():
    """A grid by hand, for its searches know X and y; but its splitters by group, we take."""
    selection = pytest.importorskip("sklearn.model_selection")
    audio, lips, groups = planted()
    best = {}
    for components in (1, 2, 5):
        scores = [
            build_space("cca", components=components)
            .fit(audio[train], lips[train], groups[train])
            .score(audio[test], lips[test], groups[test])
            for train, test in selection.GroupKFold(4).split(audio, lips, groups)
        ]
        best[components] = np.mean(scores)
    assert best[1] > best[5] + 0.3
    assert best[2] > best[5] + 0.3


def test_importing_the_room_and_the_list_costs_no_torch():
    code = "import sys, avalign.space as s; s.build_space('cca'); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


def test_every_row_of_the_list_is_told_and_leads_to_its_class():
    assert {each.row for each in SPACES} == {f"R{k}" for k in range(1, 10)} | {"M3"}
    for each in SPACES:
        kind = each.load()
        assert issubclass(kind, SpaceEstimator)
        assert kind.name == each.name
        assert each.when.endswith(".")
        assert "References" in kind.__doc__
        assert "`score` is" in kind.__doc__


# --- wrong use -------------------------------------------------------------------------


def test_wrong_names_and_settings_are_refused():
    with pytest.raises(ParameterError, match="did you mean 'contrastive'"):
        build_space("contrastiv")
    with pytest.raises(ParameterError, match="choose of joint"):
        find_space("zzz")
    with pytest.raises(ParameterError, match="no setting 'depth'"):
        build_space("cca", depth=3)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("cca", {"components": 0}, "components is 0"),
        ("cca", {"components": True}, "components is True"),
        ("cca", {"regularisation": float("nan")}, "regularisation is nan"),
        ("kernel_cca", {"gamma": 0.0}, "gamma is 0.0.*or None"),
        ("joint", {"loss": "hinge"}, "no loss 'hinge'.*triplet"),
        ("joint", {"hidden": (4,) * 9}, "hidden"),
        ("joint", {"hidden": 64}, "hidden is 64"),
        ("joint", {"batch": 1}, "batch is 1"),
        ("joint", {"temperature": 0}, "temperature is 0.*above 0"),
        ("masked", {"kernels": (4,)}, "width of 4 rows"),
        ("masked", {"run": 2}, "width of 2 rows"),
        ("contrastive", {"reach": 50}, "cannot be shifted by 50"),
        ("contrastive", {"settings": None}, "settings is None"),
        ("contrastive", {"settings": SpaceSettings(audio_rate_hz=50.0)}, "strides of 2 and 1"),
        ("deep_cca", {"components": 500}, "480 rows"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_fit(name, settings, words):
    audio, lips, groups = planted()
    if name == "contrastive" and isinstance(settings.get("settings"), SpaceSettings):
        audio = np.repeat(audio, 2, axis=0)
    with pytest.raises(ParameterError, match=words):
        build_space(name, **settings).fit(audio, lips, groups)


@pytest.mark.parametrize(
    ("audio", "lips", "groups", "words"),
    [
        (np.zeros(4), np.zeros((4, 2)), None, r"audio has shape \(4,\)"),
        (np.zeros((4, 2)), np.zeros((3, 2)), None, "4 of audio and 3 of lips"),
        (np.full((4, 2), np.inf), np.zeros((4, 2)), None, "audio holds values"),
        (np.zeros((0, 2)), np.zeros((0, 2)), None, "no rows"),
        (np.zeros((4, 2)), np.zeros((4, 2)), [0, 0, 1], r"groups has shape \(3,\)"),
        (np.zeros((4, 2)), np.zeros((4, 2)), [0, 1, 0, 1], "sort the rows"),
    ],
)
def test_data_that_cannot_be_used_is_refused(audio, lips, groups, words):
    with pytest.raises(ParameterError, match=words):
        build_space("joint").fit(audio, lips, groups)


def test_use_before_fit_and_other_columns_are_refused():
    audio, lips, _ = planted(clips=1)
    with pytest.raises(ParameterError, match="call fit"):
        build_space("joint").transform(audio)
    with pytest.raises(ParameterError, match="call fit"):
        build_space("joint").save("anywhere")
    with pytest.raises(ParameterError, match="neither"):
        fitted("joint").transform()
    with pytest.raises(ParameterError, match=r"5 columns.*fitted on 6"):
        fitted("joint").transform(lips)
    for name in ("autoencoder", "masked"):
        with pytest.raises(ParameterError, match="none is missing"):
            fitted(name).impute(audio, lips)


def test_training_that_goes_astray_says_so_and_leaves_nothing_behind():
    audio, lips, _ = planted(clips=2)
    space = build_space("autoencoder", steps=3).fit(audio, lips)
    with pytest.raises(ParameterError, match="lower learning_rate"):
        space.set_params(learning_rate=1e30, steps=20).fit(audio, lips)
    with pytest.raises(ParameterError, match="call fit"):
        space.transform(audio)
