"""Every estimator of a shared space: the interface they share, and what each must find."""

import json
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avalign.errors import MediaError, ParameterError  # noqa: E402
from avalign.space import (  # noqa: E402
    SPACES,
    EncoderSettings,
    SpaceSettings,
    build_space,
    list_spaces,
    load_model,
    load_space,
    space_method,
)
from avalign.space.autoencoder import AutoencoderNetwork  # noqa: E402
from avalign.space.cca import CCA  # noqa: E402
from avalign.space.contrastive import ContrastiveSpace  # noqa: E402
from avalign.space.estimator import SpaceEstimator, cut_clips  # noqa: E402
from avalign.space.losses import orthogonality  # noqa: E402
from avalign.space.network import Standardiser  # noqa: E402
from avalign.space.plugins import FrozenEncoder  # noqa: E402
from avalign.space.training import cut_windows  # noqa: E402
from avalign.types import AudioStream, FeatureStream  # noqa: E402

CLIPS, LENGTH = 8, 60


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def planted(seed=0, clips=CLIPS, length=LENGTH, noise=0.1):
    """Two smooth latents that move six columns of sound and five of lips, clip by clip.

    The last column of each side is its own affair.
    """
    world = np.random.default_rng(77)
    to_audio, to_lips = world.normal(size=(2, 5)), world.normal(size=(2, 4))
    random = np.random.default_rng(seed)
    count = clips * length
    white = random.normal(size=(clips, length + 8, 2))
    smooth = np.stack(
        [[np.convolve(c, np.ones(5) / 5**0.5, "same") for c in clip.T] for clip in white]
    )
    latent = smooth[:, :, 4 : 4 + length].transpose(0, 2, 1).reshape(count, 2)
    audio = np.concatenate([latent @ to_audio, 3 * random.normal(size=(count, 1))], 1)
    lips = np.concatenate([latent @ to_lips, random.normal(size=(count, 1))], 1)
    audio += noise * random.normal(size=audio.shape)
    lips += noise * random.normal(size=lips.shape)
    # In units that nobody would choose.
    return 40 * audio - 7, 0.03 * lips + 2, np.repeat(np.arange(clips), length)


QUICK = {
    "joint": {"steps": 150, "components": 8},
    "coordinated": {"steps": 150, "components": 3},
    "cca": {},
    "kernel_cca": {"features": 200},
    "deep_cca": {"steps": 60},
    "autoencoder": {"steps": 150, "components": 4},
    "vae": {"steps": 150, "components": 4},
    "contrastive": {
        "steps": 50,
        "window": 20,
        "reach": 5,
        "batch": 16,
        "learning_rate": 1e-2,
        "settings": SpaceSettings(
            lip_components=4,
            channels=12,
            dimensions=6,
            audio_rate_hz=50.0,
            audio=EncoderSettings((3, 3), (1, 1)),
            lips=EncoderSettings((3, 3), (1, 1)),
        ),
    },
    "ranking": {"steps": 150, "components": 8},
    "masked": {"steps": 80, "window": 20, "components": 24, "kernels": (3, 3)},
    "shared_private": {
        "steps": 150,
        "components": 2,
        "private_components": 2,
        "learning_rate": 1e-2,
    },
}


@pytest.fixture(scope="module")
def fitted():
    """Each estimator, fitted once."""
    audio, lips, groups = planted()
    return {
        name: build_space(name, **QUICK[name]).fit(audio, lips, groups)
        for name in list_spaces()
    }


# What an estimator that knows nothing would score on the data of `planted(seed=1)`.
CHANCE = {"joint": 1 / 480, "ranking": 1 / 480, "contrastive": 1 / 24}


@pytest.mark.parametrize("name", list_spaces())
def test_each_learns_what_holds_for_clips_it_has_not_seen(fitted, name):
    score = fitted[name].score(*planted(seed=1))
    assert score <= 1
    assert score > 5 * CHANCE[name] if name in CHANCE else score > 0.4


@pytest.mark.parametrize("name", list_spaces())
def test_what_was_learnt_breaks_with_the_pairing(fitted, name):
    audio, lips, groups = planted(seed=1)
    strangers = np.roll(lips, 7 * LENGTH // 2, axis=0)
    matched = fitted[name].score(audio, lips, groups)
    assert fitted[name].score(audio, strangers, groups) < matched - min(0.2, matched / 2)


@pytest.mark.parametrize("name", list_spaces())
def test_sides_are_mapped_alone_or_together_alike(fitted, name):
    audio, lips, groups = planted(seed=2, clips=3)
    both = fitted[name].transform(audio, lips, groups)
    np.testing.assert_array_equal(fitted[name].transform(audio, groups=groups), both[0])
    np.testing.assert_array_equal(fitted[name].transform(lips=lips, groups=groups), both[1])
    assert len(both[0]) == len(both[1]) == 3 * LENGTH
    assert np.isfinite(both[0]).all()
    assert np.isfinite(both[1]).all()
    # No clip knows of the others.
    alone = fitted[name].transform(audio[:LENGTH])
    np.testing.assert_allclose(both[0][:LENGTH], alone, atol=1e-4)


@pytest.mark.parametrize("name", list_spaces())
def test_files_round_trip(fitted, name, tmp_path):
    audio, lips, groups = planted(seed=3, clips=2)
    folder = tmp_path / "space"
    fitted[name].save(folder)
    assert sorted(each.name for each in tmp_path.rglob("*")) == [
        "arrays.safetensors",
        "estimator.json",
        "space",
    ]
    for loaded in (load_space(folder), type(fitted[name]).load(folder)):
        assert type(loaded) is type(fitted[name])
        assert loaded.get_params() == fitted[name].get_params()
        for ours, theirs in zip(
            loaded.transform(audio, lips, groups),
            fitted[name].transform(audio, lips, groups),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(MediaError, match="exists"):
        fitted[name].save(folder)
    fitted[name].save(folder, overwrite=True)
    assert load_space(folder).get_params() == fitted[name].get_params()


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
        space_method("zzz")
    with pytest.raises(ParameterError, match="no setting 'depth'"):
        build_space("cca", depth=3)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("cca", {"components": 0}, "components is '0'"),
        ("cca", {"components": True}, "components is 'True'"),
        ("cca", {"regularisation": float("nan")}, "regularisation is 'nan'"),
        ("kernel_cca", {"gamma": 0.0}, "gamma is '0.0'.*or None"),
        ("joint", {"loss": "hinge"}, "loss is 'hinge'.*triplet"),
        ("joint", {"hidden": (4,) * 9}, "hidden"),
        ("joint", {"hidden": 64}, "hidden is '64'"),
        ("joint", {"batch": 1}, "batch is '1'"),
        ("joint", {"temperature": 0}, "temperature is '0'.*above 0"),
        ("masked", {"kernels": (4,)}, "width of 4 rows"),
        ("masked", {"run": 2}, "width of 2 rows"),
        ("contrastive", {"reach": 50}, "cannot be shifted by 50"),
        ("contrastive", {"settings": None}, "settings is 'None'"),
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


def test_use_before_fit_and_other_columns_are_refused(fitted):
    audio, lips, _ = planted(clips=1)
    with pytest.raises(ParameterError, match="call fit"):
        build_space("joint").transform(audio)
    with pytest.raises(ParameterError, match="call fit"):
        build_space("joint").save("anywhere")
    with pytest.raises(ParameterError, match="neither"):
        fitted["joint"].transform()
    with pytest.raises(ParameterError, match=r"5 columns.*fitted on 6"):
        fitted["joint"].transform(lips)
    for name in ("autoencoder", "masked"):
        with pytest.raises(ParameterError, match="none is missing"):
            fitted[name].impute(audio, lips)


def test_training_that_goes_astray_says_so_and_leaves_nothing_behind():
    audio, lips, _ = planted(clips=2)
    space = build_space("autoencoder", steps=3).fit(audio, lips)
    with pytest.raises(ParameterError, match="lower learning_rate"):
        space.set_params(learning_rate=1e30, steps=20).fit(audio, lips)
    with pytest.raises(ParameterError, match="call fit"):
        space.transform(audio)


# --- hostile files -----------------------------------------------------------------------


@pytest.fixture
def saved(fitted, tmp_path):
    fitted["joint"].save(tmp_path / "joint")
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
    with pytest.raises(MediaError, match="cannot read a saved estimator"):
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
    with pytest.raises(MediaError, match="cannot read a saved estimator"):
        load_space(saved)
    (saved / "arrays.safetensors").unlink()
    with pytest.raises(MediaError):
        load_space(saved)
    with pytest.raises(MediaError, match="absent"):
        load_space(saved / "absent")


def test_an_estimator_of_another_class_is_refused(saved, fitted):
    with pytest.raises(MediaError, match="holds 'joint', not CanonicalSpace"):
        type(fitted["cca"]).load(saved)


def test_folders_of_others_are_kept(fitted, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(MediaError, match="no saved estimator"):
        fitted["cca"].save(tmp_path / "mine", overwrite=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(MediaError, match="no saved estimator"):
        fitted["cca"].save(tmp_path / "file", overwrite=True)
    with pytest.raises(MediaError, match="no such folder"):
        fitted["cca"].save(tmp_path / "gone" / "space")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


# --- known answers ---------------------------------------------------------------------


def test_cca_equals_scikit_learns():
    decomposition = pytest.importorskip("sklearn.cross_decomposition")
    audio, lips, _ = planted()
    scores = decomposition.CCA(3, max_iter=5000, tol=1e-12).fit_transform(audio, lips)
    theirs = [np.corrcoef(scores[0][:, k], scores[1][:, k])[0, 1] for k in range(3)]
    space = build_space("cca", components=3).fit(audio, lips)
    np.testing.assert_allclose(space.model_.correlations_, theirs, atol=1e-6)
    assert space.score(audio, lips) == pytest.approx(np.mean(theirs), abs=1e-6)


def folded(seed=0, count=600):
    """Lips that follow the square of a latent of the sound: nothing there is linear."""
    random = np.random.default_rng(seed)
    latent = random.uniform(-1, 1, count)
    audio = np.stack([latent, random.normal(size=count)], 1)
    lips = np.stack(
        [latent**2 + 0.05 * random.normal(size=count), random.normal(size=count)], 1
    )
    return audio, lips


@pytest.mark.parametrize(
    ("name", "settings"),
    [("kernel_cca", {"features": 200}), ("deep_cca", {"hidden": (32,), "steps": 200})],
)
def test_what_is_not_linear_is_found_where_cca_misses_it(name, settings):
    linear = build_space("cca", components=1).fit(*folded())
    curved = build_space(name, components=1, **settings).fit(*folded())
    assert abs(linear.score(*folded(seed=1))) < 0.2
    assert curved.score(*folded(seed=1)) > 0.9


def test_linear_deep_cca_reaches_the_correlations_of_cca():
    random = np.random.default_rng(4)
    audio = random.normal(size=(400, 5))
    lips = random.normal(size=(400, 4))
    lips[:, :3] = np.array([2.0, 0.7, 0.3]) * audio[:, :3] + lips[:, :3]
    audio, lips = audio @ random.normal(size=(5, 5)), lips @ random.normal(size=(4, 4))
    wanted = CCA(2).fit(audio, lips).correlations_
    assert wanted[0] - wanted[1] > 0.1
    deep = build_space("deep_cca", components=2, hidden=(), steps=250, learning_rate=0.03)
    np.testing.assert_allclose(deep.fit(audio, lips).model_.correlations_, wanted, atol=1e-3)


@pytest.mark.parametrize("loss", ["info_nce", "triplet", "max_margin", "pair"])
def test_joint_embeddings_retrieve_clips_of_speakers_not_learnt_from(loss):
    """Every speaker has levels of their own, which both sound and lips show."""

    def speakers(seed, count):
        random = np.random.default_rng(seed)
        levels = np.repeat(random.normal(size=(count, 3)), 20, axis=0)
        world = np.random.default_rng(1)
        audio = levels @ world.normal(size=(3, 8)) + 0.3 * random.normal(size=(20 * count, 8))
        lips = levels @ world.normal(size=(3, 6)) + 0.3 * random.normal(size=(20 * count, 6))
        return audio, lips, np.repeat(np.arange(count), 20)

    space = build_space("joint", level="clip", loss=loss, components=4, hidden=(16,))
    space.set_params(steps=100, batch=20, learning_rate=1e-2).fit(*speakers(0, 40))
    held_out = speakers(1, 20)
    embedded = space.transform(*held_out)
    assert embedded[0].shape == (20, 4)
    np.testing.assert_allclose(np.linalg.norm(embedded[1], axis=1), 1, rtol=1e-5)
    assert space.score(*held_out) > 0.6  # chance: 0.05


def test_the_penalty_holds_codes_together():
    audio, lips, _ = planted()
    gaps = []
    for penalty in (0.0, 10.0):
        space = build_space("coordinated", penalty=penalty, steps=150, components=2)
        codes = space.fit(audio, lips).transform(audio, lips)
        gaps.append(((codes[0] - codes[1]) ** 2).mean() / codes[0].var())
    assert gaps[1] < 0.2 * gaps[0]


@pytest.mark.parametrize("name", ["autoencoder", "vae", "masked"])
def test_a_missing_stream_is_imputed_better_than_by_the_mean(fitted, name):
    audio, lips, _ = planted()
    new_audio, new_lips, _ = planted(seed=1, clips=1)
    for made, truth, mean in (
        (fitted[name].impute(audio=new_audio), new_lips, lips.mean(0)),
        (fitted[name].impute(lips=new_lips), new_audio, audio.mean(0)),
    ):
        assert made.shape == truth.shape
        # All but the last column follow from the other stream.
        missed = ((made - truth) ** 2)[:, :-1].mean(0)
        assert (missed < 0.5 * ((truth - mean) ** 2)[:, :-1].mean(0)).all()


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
def test_autoencoders_rebuild_what_they_are_given(fitted, name):
    audio, lips, _ = planted(seed=1)
    streams = {"audio": torch.tensor(audio).float(), "lips": torch.tensor(lips).float()}
    with torch.no_grad():
        rebuilt = fitted[name].network_(streams)
    for stream, rows in streams.items():
        missed = (rebuilt[stream] - rows).square().mean(0)[:-1]
        assert (missed < 0.35 * rows.var(0)[:-1]).all()


@pytest.mark.parametrize("variational", [False, True])
def test_imputation_keeps_what_is_there_and_ignores_what_is_not(variational):
    torch.manual_seed(0)
    dims = {"audio": 3, "lips": 2, "text": 4}
    network = AutoencoderNetwork(dims, 5, (8,), variational=variational).eval()
    streams = {name: torch.randn(2, 7, width) for name, width in dims.items()}
    masks = {name: torch.rand(2, 7) < 0.6 for name in dims}
    masks["audio"][0, 0] = masks["lips"][0, 0] = masks["text"][0, 0] = False
    filled = network.impute(streams, masks)
    spoilt = {
        name: torch.where(masks[name][..., None], rows, torch.nan)
        for name, rows in streams.items()
    }
    again = network.impute(spoilt, masks)
    without = network.impute({name: streams[name] for name in ("audio", "text")}, masks)
    for name, rows in streams.items():
        assert torch.equal(filled[name][masks[name]], rows[masks[name]])
        assert torch.isfinite(filled[name]).all()
        assert torch.equal(filled[name], again[name])
        assert without[name].shape == rows.shape
    # Where nothing is there, what is made is the same whatever else is.
    nothing = network.decode(torch.zeros(5))
    for name in dims:
        torch.testing.assert_close(filled[name][0, 0], nothing[name])


def test_imputation_has_a_finite_gradient_over_rows_that_are_not_there():
    network = AutoencoderNetwork({"audio": 3, "lips": 2}, 4)
    rows = torch.full((1, 4, 3), torch.nan)
    mask = torch.zeros(1, 4, dtype=torch.bool)
    network.impute({"audio": rows}, {"audio": mask})["lips"].sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_the_code_of_the_vae_is_the_product_of_experts():
    torch.manual_seed(0)
    network = AutoencoderNetwork({"audio": 3, "lips": 2}, 4, (), variational=True)
    streams = {"audio": torch.randn(6, 3), "lips": torch.randn(6, 2)}
    precision, weighted = torch.ones(6, 4), torch.zeros(6, 4)
    for name, rows in streams.items():
        mean, log_variance = network.encoders[name](rows).chunk(2, dim=-1)
        precision = precision + 1 / log_variance.exp()
        weighted = weighted + mean / log_variance.exp()
    mean, log_variance = network.encode(streams)
    torch.testing.assert_close(mean, weighted / precision)
    torch.testing.assert_close(log_variance.exp(), 1 / precision)
    alone = network.encode({"audio": streams["audio"]})[1]
    assert (alone > log_variance).all()


def test_draws_of_the_vae_scatter_about_what_it_imputes(fitted):
    audio, _, _ = planted(seed=1, clips=1)
    draws = np.stack([fitted["vae"].sample(audio=audio, seed=seed) for seed in range(30)])
    np.testing.assert_array_equal(draws[3], fitted["vae"].sample(audio=audio, seed=3))
    error = np.abs(draws.mean(0) - fitted["vae"].impute(audio=audio))
    assert (draws.std(0) > 0).all()
    assert (error < 1.5 * draws.std(0)).mean() > 0.9


@pytest.mark.parametrize("negatives", ["shifts", "clips"])
def test_either_kind_of_negatives_teaches_a_contrastive_space(negatives):
    quick = {**QUICK["contrastive"], "negatives": negatives}
    space = build_space("contrastive", **quick).fit(*planted())
    assert space.score(*planted(seed=1)) > 0.5  # chance: 1 in 24


def test_a_contrastive_space_finds_the_lag(fitted):
    audio, lips, _ = planted(seed=1, clips=1)
    late = np.roll(audio, 4, axis=0)
    sides = fitted["contrastive"].transform(late, lips)
    evidence = sides[1] @ sides[0].T
    sums = {lag: np.trace(evidence, offset=lag) for lag in range(-10, 11)}
    assert max(sums, key=sums.get) == 4


def test_audio_may_come_in_several_rows_for_each_row_of_lips():
    audio, lips, groups = planted()
    settings = SpaceSettings(
        lip_components=4,
        channels=12,
        dimensions=6,
        audio=EncoderSettings((3, 3), (1, 1), stride=2),
        lips=EncoderSettings((3, 3), (1, 1)),
    )
    quick = {**QUICK["contrastive"], "settings": settings, "steps": 4}
    twice = np.repeat(audio, 2, axis=0)
    space = build_space("contrastive", **quick).fit(twice, lips, groups)
    assert len(space.transform(twice, groups=groups)) == len(lips)
    with pytest.raises(ParameterError, match="2 of audio for each of lips"):
        space.transform(audio, lips, groups)


def test_the_shipped_space_is_one_of_them(tmp_path):
    space = ContrastiveSpace.shipped()
    assert space.model_ is load_model()
    random = np.random.default_rng(0)
    mfcc = random.normal(0, 10, (240, 13)).astype(np.float32)
    lips = random.normal(0, 0.1, (120, 123)).astype(np.float32)
    audio_rows, lip_rows = space.transform(mfcc, lips)
    wanted = load_model().embed_audio(
        FeatureStream(mfcc, np.arange(240) / 100, np.ones(240, bool), "mfcc")
    )
    np.testing.assert_array_equal(audio_rows, wanted.values)
    wanted = load_model().embed_lips(
        FeatureStream(lips, np.arange(120) / 50, np.ones(120, bool), "lips")
    )
    np.testing.assert_array_equal(lip_rows, wanted.values)
    assert 0 <= space.set_params(window=20).score(mfcc, lips) <= 1
    space.save(tmp_path / "copy")
    copy = load_space(tmp_path / "copy")
    assert copy.model_.settings == load_model().settings
    np.testing.assert_array_equal(copy.transform(mfcc), audio_rows)


def test_masked_modelling_beats_the_mean_on_frames_it_has_not_seen(fitted):
    """Columns that only noise moves cannot be predicted: what counts is above 0 by far."""
    assert fitted["masked"].score(*planted(seed=1)) > 0.4


def test_hidden_frames_are_not_peeked_at(fitted):
    audio, _, _ = planted(seed=1, clips=1)
    space = fitted["masked"]
    both = space.represent(audio, np.zeros((LENGTH, 5)))
    assert both.shape == (LENGTH, 24)
    assert not np.allclose(both, space.transform(audio))
    hidden = {name: torch.ones(LENGTH, dtype=torch.bool) for name in ("audio", "lips")}
    rows = {"audio": audio, "lips": np.full((LENGTH, 5), 9.0)}
    blind = space._represent(rows, [slice(0, LENGTH)], hidden)
    rows = {"audio": -audio, "lips": np.zeros((LENGTH, 5))}
    np.testing.assert_array_equal(blind, space._represent(rows, [slice(0, LENGTH)], hidden))


def test_private_codes_hold_what_is_not_shared(fitted):
    audio, lips, _ = planted(seed=1)
    space = fitted["shared_private"]
    shared = space.transform(audio, lips)
    for stream, rows, code in (("audio", audio, shared[0]), ("lips", lips, shared[1])):
        private = space.private(stream, rows)
        overlap = orthogonality(torch.tensor(code), torch.tensor(private))
        assert overlap.item() < 0.1
        # The last column is of one stream alone: the private code tells it best.
        own = rows[:, -1]
        told = [np.corrcoef(np.c_[own, codes].T)[0, 1:] for codes in (private, code)]
        assert np.abs(told[0]).max() > 0.6 > 0.3 > np.abs(told[1]).max()
    with pytest.raises(ParameterError, match="columns"):
        space.private("audio", lips)


# --- parts -------------------------------------------------------------------------------


def test_clips_are_cut_where_the_group_changes():
    assert cut_clips(None, 4) == [slice(0, 4)]
    assert cut_clips(["b", "b", "a"], 3) == [slice(0, 2), slice(2, 3)]


def test_windows_cover_every_row_and_never_mix_clips():
    clips = [slice(0, 25), slice(25, 28), slice(28, 38)]
    index, inside = cut_windows(clips, 10)
    assert set(index[inside]) == set(range(38))
    label = np.repeat([0, 1, 2], [25, 3, 10])
    assert (label[index] == label[index[:, :1]]).all()
    assert inside.sum(axis=1).tolist() == [10, 10, 10, 10, 3, 10]


def test_columns_that_never_vary_are_left_as_they_are():
    standardiser = Standardiser(2)
    rows = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    standardiser.adapt(rows)
    assert standardiser(rows).tolist() == [[-1, 0], [1, 0]]
    assert standardiser.restore(standardiser(rows)).tolist() == rows.tolist()


# --- plug-ins ----------------------------------------------------------------------------


class Stub(torch.nn.Module):
    """Give the mean and the loudness of every 160 samples."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(2.0))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, samples):
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        return self.dropout(self.gain * torch.stack([frames.mean(1), frames.std(1)], 1))


def sound(seconds=2.0, start_s=0.5, sample_rate_hz=16_000):
    samples = np.random.default_rng(0).normal(size=round(seconds * sample_rate_hz))
    return AudioStream(samples.astype(np.float32), sample_rate_hz, start_s)


def test_a_frozen_encoder_gives_rows_on_its_own_clock():
    stub = Stub()
    encoder = FrozenEncoder(
        encoder=stub, rate_hz=100.0, first_row_s=0.005, sample_rate_hz=16_000
    )
    stream = encoder(sound())
    frames = sound().samples.reshape(-1, 160)
    np.testing.assert_allclose(stream.values[:, 0], 2 * frames.mean(1), atol=1e-5)
    np.testing.assert_allclose(stream.times_s, 0.505 + np.arange(200) / 100)
    assert stream.valid.all()
    assert stream.kind == "embedding"
    assert not stub.training
    assert not stub.gain.requires_grad


def test_what_a_frozen_encoder_gives_can_be_learnt_from_and_saved(tmp_path):
    stream = FrozenEncoder(encoder=Stub(), rate_hz=100.0)(sound())
    lips = stream.values @ np.array([[1.0, 2.0], [0.5, -1.0]]) + 3
    space = build_space("cca").fit(stream.values, lips)
    assert space.score(stream.values, lips) == pytest.approx(1.0, abs=1e-6)
    space.save(tmp_path / "space")
    again = FrozenEncoder(encoder=Stub(), rate_hz=100.0)(sound())
    np.testing.assert_array_equal(
        load_space(tmp_path / "space").transform(again.values), space.transform(stream.values)
    )


def test_a_callable_that_maps_row_by_row_keeps_the_clock_and_what_is_valid():
    times_s = np.array([0.0, 0.04, 0.09, 0.12])
    valid = np.array([True, False, True, True])
    lips = FeatureStream(np.ones((4, 3), np.float32), times_s, valid, "lips")
    stream = FrozenEncoder(encoder=lambda rows: rows[:, :2].tolist(), rate_hz=None)(lips)
    assert stream.values.shape == (4, 2)
    assert stream.values.dtype == np.float32
    np.testing.assert_array_equal(stream.times_s, times_s)
    np.testing.assert_array_equal(stream.valid, valid)
    halved = FrozenEncoder(encoder=lambda rows: rows[:, ::2], rate_hz=12.5, batched=True)(lips)
    np.testing.assert_array_equal(halved.valid, [True, True])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: FrozenEncoder(encoder=3, rate_hz=1.0), "type int"),
        (lambda: FrozenEncoder(encoder=len, rate_hz=0.0), "rate_hz is 0.0"),
        (lambda: FrozenEncoder(encoder=Stub(), rate_hz=50.0)(sound()), "200 rows for 2.00 s"),
        (lambda: FrozenEncoder(encoder=Stub(), rate_hz=None)(sound()), "no rate of its own"),
        (
            lambda: FrozenEncoder(encoder=Stub(), rate_hz=100.0, sample_rate_hz=8000)(sound()),
            "16000 samples per second, not 8000",
        ),
        (lambda: FrozenEncoder(encoder=lambda x: x, rate_hz=1.0)(sound()), "(T, C)"),
        (
            lambda: FrozenEncoder(encoder=lambda x: np.full((20, 1), np.nan), rate_hz=10.0)(
                sound()
            ),
            "not finite",
        ),
    ],
)
def test_encoders_that_do_not_keep_their_word_are_refused(build, words):
    with pytest.raises(ParameterError, match=words.replace("(", r"\(").replace(")", r"\)")):
        build()
