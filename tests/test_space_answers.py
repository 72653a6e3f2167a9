"""What each estimator of a shared space must find: known answers, and their parts."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spaces import LENGTH, QUICK, fitted, planted  # noqa: E402

from avalign.errors import ParameterError  # noqa: E402
from avalign.space import (  # noqa: E402
    EncoderSettings,
    SpaceSettings,
    build_space,
    load_model,
    load_space,
)
from avalign.space.cca import CCA  # noqa: E402
from avalign.space.learning.autoencoder import AutoencoderNetwork  # noqa: E402
from avalign.space.learning.contrastive import ContrastiveSpace  # noqa: E402
from avalign.space.learning.estimator import cut_clips  # noqa: E402
from avalign.space.learning.losses import orthogonality  # noqa: E402
from avalign.space.learning.network import Standardiser  # noqa: E402
from avalign.space.learning.training import cut_windows  # noqa: E402
from avalign.types import FeatureStream  # noqa: E402


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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["autoencoder", "vae", "masked"])
def test_a_missing_stream_is_imputed_better_than_by_the_mean(name):
    audio, lips, _ = planted()
    new_audio, new_lips, _ = planted(seed=1, clips=1)
    for made, truth, mean in (
        (fitted(name).impute(audio=new_audio), new_lips, lips.mean(0)),
        (fitted(name).impute(lips=new_lips), new_audio, audio.mean(0)),
    ):
        assert made.shape == truth.shape
        # All but the last column follow from the other stream.
        missed = ((made - truth) ** 2)[:, :-1].mean(0)
        assert (missed < 0.5 * ((truth - mean) ** 2)[:, :-1].mean(0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["autoencoder", "vae"])
def test_autoencoders_rebuild_what_they_are_given(name):
    audio, lips, _ = planted(seed=1)
    streams = {"audio": torch.tensor(audio).float(), "lips": torch.tensor(lips).float()}
    with torch.no_grad():
        rebuilt = fitted(name).network_(streams)
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


def test_draws_of_the_vae_scatter_about_what_it_imputes():
    audio, _, _ = planted(seed=1, clips=1)
    draws = np.stack([fitted("vae").sample(audio=audio, seed=seed) for seed in range(30)])
    np.testing.assert_array_equal(draws[3], fitted("vae").sample(audio=audio, seed=3))
    error = np.abs(draws.mean(0) - fitted("vae").impute(audio=audio))
    assert (draws.std(0) > 0).all()
    assert (error < 1.5 * draws.std(0)).mean() > 0.9


@pytest.mark.parametrize("negatives", ["shifts", "clips"])
def test_either_kind_of_negatives_teaches_a_contrastive_space(negatives):
    quick = {**QUICK["contrastive"], "negatives": negatives}
    space = build_space("contrastive", **quick).fit(*planted())
    assert space.score(*planted(seed=1)) > 0.5  # chance: 1 in 24


def test_a_contrastive_space_finds_the_lag():
    audio, lips, _ = planted(seed=1, clips=1)
    late = np.roll(audio, 4, axis=0)
    sides = fitted("contrastive").transform(late, lips)
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


def test_masked_modelling_beats_the_mean_on_frames_it_has_not_seen():
    """Columns that only noise moves cannot be predicted: what counts is above 0 by far."""
    assert fitted("masked").score(*planted(seed=1)) > 0.4


def test_hidden_frames_are_not_peeked_at():
    audio, _, _ = planted(seed=1, clips=1)
    space = fitted("masked")
    both = space.represent(audio, np.zeros((LENGTH, 5)))
    assert both.shape == (LENGTH, 24)
    assert not np.allclose(both, space.transform(audio))
    hidden = {name: torch.ones(LENGTH, dtype=torch.bool) for name in ("audio", "lips")}
    rows = {"audio": audio, "lips": np.full((LENGTH, 5), 9.0)}
    blind = space._represent(rows, [slice(0, LENGTH)], hidden)
    rows = {"audio": -audio, "lips": np.zeros((LENGTH, 5))}
    np.testing.assert_array_equal(blind, space._represent(rows, [slice(0, LENGTH)], hidden))


@pytest.mark.slow
def test_private_codes_hold_what_is_not_shared():
    audio, lips, _ = planted(seed=1)
    space = fitted("shared_private")
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
