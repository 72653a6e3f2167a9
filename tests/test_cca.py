"""CCA against scikit-learn and planted correlations; kernel CCA, and its files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign.errors import MediaError, ParameterError
from avalign.space.cca import CCA
from avalign.space.kernel_cca import KernelCCA, load_kernel_cca, save_kernel_cca

PLANTED = np.array([0.9, 0.6, 0.3])


def planted(count, seed=0, correlations=PLANTED):
    """Two sides of five and four columns with known canonical correlations, mixed up."""
    random = np.random.default_rng(seed)
    left = random.normal(size=(count, 5))
    right = random.normal(size=(count, 4))
    shared = len(correlations)
    right[:, :shared] *= np.sqrt(1 - correlations**2)
    right[:, :shared] += correlations * left[:, :shared]
    mixed_left = left @ random.normal(size=(5, 5)) + random.normal(size=5)
    return mixed_left, right @ random.normal(size=(4, 4)) * 100


def test_planted_correlations_are_recovered_and_hold_on_new_rows():
    x, y = planted(40_000)
    model = CCA(4).fit(x[:20_000], y[:20_000])
    np.testing.assert_allclose(model.correlations_, [*PLANTED, 0], atol=0.03)
    np.testing.assert_allclose(model.score(x[20_000:], y[20_000:]), [*PLANTED, 0], atol=0.03)


def test_correlations_equal_scikit_learns():
    cross_decomposition = pytest.importorskip("sklearn.cross_decomposition")
    x, y = planted(400, seed=1)
    x_scores, y_scores = cross_decomposition.CCA(3, max_iter=5_000, tol=1e-12).fit_transform(
        x, y
    )
    theirs = [np.corrcoef(x_scores[:, k], y_scores[:, k])[0, 1] for k in range(3)]
    model = CCA(3).fit(x, y)
    np.testing.assert_allclose(model.correlations_, theirs, atol=1e-6)
    np.testing.assert_allclose(model.score(x, y), theirs, atol=1e-6)


def test_scores_are_white_and_pairs_correlate_with_each_other_alone():
    x, y = planted(300, seed=2)
    model = CCA(3).fit(x, y)
    x_scores, y_scores = model.transform(x, y)
    for scores in (x_scores, y_scores):
        np.testing.assert_allclose(np.cov(scores.T, bias=True), np.eye(3), atol=1e-9)
    across = x_scores.T @ y_scores / len(x)
    np.testing.assert_allclose(across, np.diag(model.correlations_), atol=1e-9)
    np.testing.assert_array_equal(model.transform(x), x_scores)
    np.testing.assert_array_equal(model.transform(Y=y), y_scores)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_invertible_linear_maps_change_nothing(seed):
    random = np.random.default_rng(seed)
    x, y = planted(200, seed=seed)
    # Orthogonal turns and scales up to 1 : 1000 are as bad as units get.
    turn, _ = np.linalg.qr(random.normal(size=(5, 5)))
    mapped = x @ turn * 10 ** random.uniform(-1.5, 1.5, 5) + random.normal(size=5)
    plain, other = CCA(3).fit(x, y), CCA(3).fit(mapped, -3 * y[:, ::-1])
    np.testing.assert_allclose(other.correlations_, plain.correlations_, atol=1e-7)


def test_whole_weights_count_as_repetitions():
    x, y = planted(60, seed=3)
    weights = np.random.default_rng(3).integers(0, 4, len(x))
    weighted = CCA(2).fit(x, y, sample_weight=weights)
    repeated = CCA(2).fit(np.repeat(x, weights, axis=0), np.repeat(y, weights, axis=0))
    np.testing.assert_allclose(weighted.correlations_, repeated.correlations_, atol=1e-9)
    np.testing.assert_allclose(weighted.x_weights_, repeated.x_weights_, rtol=1e-6)
    np.testing.assert_allclose(weighted.y_mean_, repeated.y_mean_)


def test_many_rows_are_summed_as_few_are():
    x, y = planted(10_000, seed=4)
    model = CCA(3).fit(x, y)
    x_centred, y_centred = x - x.mean(0), y - y.mean(0)
    # Canonical correlations are the cosines between the spaces that the columns span.
    bases = [np.linalg.qr(side)[0] for side in (x_centred, y_centred)]
    cosines = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    np.testing.assert_allclose(model.correlations_, cosines[:3], atol=1e-9)


def test_columns_that_depend_on_each_other_add_nothing():
    x, y = planted(200, seed=5)
    doubled = np.concatenate([x, x[:, :2] - x[:, 2:4]], axis=1)
    np.testing.assert_allclose(
        CCA(3).fit(doubled, y).correlations_, CCA(3).fit(x, y).correlations_, atol=1e-7
    )
    with pytest.raises(ParameterError, match="span 1 canonical pairs, not 2"):
        CCA(2).fit(np.outer(x[:, 0], [1, 2, 3]), y)


def test_shrinkage_helps_where_rows_are_few():
    random = np.random.default_rng(6)

    def draw(count):
        latent = random.normal(size=(count, 1))
        return (latent + random.normal(size=(count, 40)) for _ in range(2))

    few, many = list(draw(60)), list(draw(5000))
    plain = CCA(1).fit(*few)
    shrunk = CCA(1, regularisation=0.3).fit(*few)
    assert plain.correlations_[0] > 0.99
    assert shrunk.score(*many)[0] > plain.score(*many)[0] + 0.1
    assert CCA(1, regularisation=1.0).fit(*few).correlations_[0] == 0


@pytest.mark.parametrize(
    ("x", "y", "weights", "words"),
    [
        (np.zeros(5), np.zeros((5, 2)), None, "X has shape"),
        (np.zeros((5, 2)), np.zeros((4, 2)), None, "5 rows and Y 4"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), None, "X holds values that are not finite"),
        (np.eye(5), np.eye(5), [1, 1], "sample_weight"),
        (np.eye(5), np.eye(5), [-1, 1, 1, 1, 1], "sample_weight"),
        (np.eye(5), np.eye(5), np.zeros(5), "all sample weights are 0"),
        (np.zeros((5, 2)), np.zeros((5, 2)), None, "span 0 canonical pairs"),
    ],
)
def test_what_cannot_be_fitted_is_refused(x, y, weights, words):
    with pytest.raises(ParameterError, match=words):
        CCA(1).fit(x, y, sample_weight=weights)


def test_wrong_use_is_refused():
    x, y = planted(50)
    for build in (
        lambda: CCA(0),
        lambda: CCA(1, regularisation=1.5),
        lambda: KernelCCA(gamma=0),
    ):
        with pytest.raises(ParameterError):
            build()
    with pytest.raises(ParameterError, match="fit"):
        CCA(1).transform(x)
    with pytest.raises(ParameterError, match="fit"):
        KernelCCA(1).transform(x)
    with pytest.raises(ParameterError, match="neither"):
        CCA(1).fit(x, y).transform()
    for model in (CCA(1).fit(x, y), KernelCCA(1, n_features=20).fit(x, y)):
        with pytest.raises(ParameterError, match="4 columns"):
            model.transform(x[:, :4])


def test_kernel_cca_finds_what_cca_misses():
    random = np.random.default_rng(7)
    latent = random.uniform(-1, 1, 4000)
    x = np.stack([latent, random.normal(size=4000)], axis=1)
    y = np.stack([latent**2 + 0.05 * random.normal(size=4000), random.normal(size=4000)], 1)
    seen, new = slice(3000), slice(3000, None)
    linear = CCA(1).fit(x[seen], y[seen])
    kernel = KernelCCA(1, n_features=300).fit(x[seen], y[seen])
    assert abs(linear.score(x[new], y[new])[0]) < 0.2
    assert kernel.score(x[new], y[new])[0] > 0.9


def test_random_features_approximate_the_gaussian_kernel():
    random = np.random.default_rng(8)
    x = random.normal(size=(60, 3))
    model = KernelCCA(1, n_features=500, gamma=0.3).fit(x, x)
    features = model._lift(x)
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    error = features @ features.T - np.exp(-0.3 * distance)
    # The error of a mean over 500 features, each of a variance of at most 3/2.
    assert np.abs(error).max() < 0.25
    assert np.sqrt((error**2).mean()) < 0.055


def test_the_width_of_the_kernel_follows_the_scale_of_x():
    x, y = planted(300, seed=9)
    plain = KernelCCA(2, n_features=50).fit(x, y)
    scaled = KernelCCA(2, n_features=50).fit(1000 * x, y)
    np.testing.assert_allclose(scaled.correlations_, plain.correlations_, rtol=1e-3)
    with pytest.raises(ParameterError, match="does not vary"):
        KernelCCA(1).fit(np.ones((9, 2)), y[:9])


@pytest.fixture
def fitted():
    x, y = planted(200, seed=10)
    return KernelCCA(2, n_features=30, seed=4).fit(x, y)


def test_files_round_trip(tmp_path, fitted):
    x, y = planted(20, seed=11)
    path = tmp_path / "kernel.safetensors"
    save_kernel_cca(fitted, path)
    loaded = load_kernel_cca(path)
    for ours, theirs in zip(loaded.transform(x, y), fitted.transform(x, y), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(loaded.correlations_, fitted.correlations_)
    assert vars(loaded).keys() == vars(fitted).keys()
    assert (loaded.seed, loaded.gamma, loaded.regularisation) == (4, None, 0.02)
    with pytest.raises(MediaError, match="exists"):
        save_kernel_cca(fitted, path)
    save_kernel_cca(fitted, path, overwrite=True)
    with pytest.raises(ParameterError, match="fit"):
        save_kernel_cca(KernelCCA(1), tmp_path / "empty.safetensors")
    assert [each.name for each in tmp_path.iterdir()] == ["kernel.safetensors"]


def rewrite(path, model, change):
    """Write the file of a model with its arrays and settings changed."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    save_kernel_cca(model, path)
    with safe_open(path, framework="numpy") as file:
        fields = json.loads(file.metadata()["kernel_cca"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    text = change(arrays, fields)
    save_file(arrays, path, metadata={"kernel_cca": text or json.dumps(fields)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays, _: arrays.__delitem__("phases"), "phases.*nothing"),
        (lambda arrays, _: arrays.update(y_mean=np.zeros(9)), "y_mean.*found float64"),
        (lambda arrays, _: arrays.update(phases=np.zeros(30)), "phases.*found float64"),
        (lambda arrays, _: arrays.update(x_mean=np.full(30, np.nan)), "x_mean.*not finite"),
        (lambda _, fields: fields.update(n_components=10**9), "x_weights"),
        (lambda _, fields: fields.update(n_components=2.0), "cannot read"),
        (lambda _, fields: fields.update(n_components="2"), "cannot read"),
        (lambda _, fields: fields.update(x_columns=None), "cannot read"),
        (lambda _, fields: fields.update(gamma=float("nan")), "cannot read"),
        (lambda _, fields: fields.__delitem__("seed"), "cannot read"),
        (lambda *_: "[1, 2]", "cannot read"),
        (lambda *_: "{", "cannot read"),
        (lambda *_: "[" * 100_000, "cannot read"),
    ],
)
def test_damaged_files_are_refused(tmp_path, fitted, change, words):
    path = tmp_path / "bad.safetensors"
    rewrite(path, fitted, change)
    with pytest.raises(MediaError, match=words):
        load_kernel_cca(path)


def test_files_of_another_kind_are_refused(tmp_path):
    from safetensors.numpy import save_file

    (tmp_path / "text").write_text("hello")
    save_file({"a": np.zeros(3)}, tmp_path / "alien")
    for name in ("text", "alien", "absent"):
        with pytest.raises(MediaError, match=name):
            load_kernel_cca(tmp_path / name)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(300 * 1024 * 1024)
    with pytest.raises(MediaError, match="too large"):
        load_kernel_cca(tmp_path / "huge")
