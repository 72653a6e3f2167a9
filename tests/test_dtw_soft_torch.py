import math
import os
import subprocess
import sys

import numpy as np
import pytest

from avalign.dtw.soft_dtw.verbs import soft, soft_divergence
from avalign.errors import ParameterError

torch = pytest.importorskip("torch", reason="torch is not installed")

from avalign.dtw.soft_dtw.loss import SoftDtw, soft_distance  # noqa: E402

# Many kernels are compiled for these.
pytestmark = pytest.mark.slow

METRICS = ("sqeuclidean", "euclidean", "manhattan", "cosine", "precomputed")


def batch(metric, *, pairs=3, n=7, m=9, features=3, kind=torch.float64, seed=0):
    torch.manual_seed(seed)
    if metric == "precomputed":
        return [torch.rand(pairs, n, m, dtype=kind, requires_grad=True)]
    shapes = (pairs, n, features), (pairs, m, features)
    return [torch.randn(shape, dtype=kind, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("radius", [None, 2])
def test_gradcheck(metric, radius):
    tensors = batch(metric)
    assert torch.autograd.gradcheck(
        lambda *given: soft_distance(*given, gamma=0.6, metric=metric, radius=radius), tensors
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_batch_is_its_pairs(metric, kind):
    tensors = batch(metric, kind=kind)
    found = soft_distance(*tensors, gamma=0.3, metric=metric)
    assert found.dtype == kind
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=kind)
    (found * weights).sum().backward()
    for pair in range(3):
        one = soft(
            *(tensor[pair].detach().numpy() for tensor in tensors), gamma=0.3, metric=metric
        )
        assert found[pair].item() == pytest.approx(one.distance, rel=1e-6)
        for tensor, gradient in zip(tensors, (one.gradient_x, one.gradient_y), strict=False):
            wanted = weights[pair].item() * gradient
            np.testing.assert_allclose(tensor.grad[pair].numpy(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("form", ["lengths", "masks"])
def test_padding_changes_nothing_and_gets_no_gradient(metric, form):
    tensors = batch(metric)
    lengths = torch.tensor([7, 4, 1]), torch.tensor([2, 9, 5])
    with torch.no_grad():
        for pair in range(3):
            n, m = lengths[0][pair], lengths[1][pair]
            if metric == "precomputed":
                tensors[0][pair, n:] = torch.nan
                tensors[0][pair, :, m:] = torch.inf
            else:
                tensors[0][pair, n:] = torch.nan
                tensors[1][pair, m:] = torch.inf
    masks = [
        torch.arange(size) < given[:, None] for size, given in zip((7, 9), lengths, strict=True)
    ]
    given = masks if form == "masks" else lengths
    found = soft_distance(
        *tensors, metric=metric, radius=1, x_lengths=given[0], y_lengths=given[1]
    )
    found.sum().backward()
    for pair in range(3):
        n, m = lengths[0][pair].item(), lengths[1][pair].item()
        if metric == "precomputed":
            cut = [tensors[0][pair, :n, :m].detach().numpy()]
        else:
            cut = [tensors[0][pair, :n].detach().numpy(), tensors[1][pair, :m].detach().numpy()]
        one = soft(*cut, metric=metric, radius=1)
        assert found[pair].item() == pytest.approx(one.distance, rel=1e-12)
        gradient = tensors[0].grad[pair]
        whole = np.zeros(gradient.shape)
        whole[:n, : one.gradient_x.shape[1]] = one.gradient_x
        np.testing.assert_allclose(gradient.numpy(), whole, rtol=1e-9, atol=1e-12)


def test_threads_change_nothing():
    tensors = batch("sqeuclidean", pairs=8, n=100, m=120)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found = soft_distance(*tensors)
            results.append((found, *torch.autograd.grad(found.sum(), tensors)))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_a_second_derivative_is_refused():
    x, y = batch("sqeuclidean")
    (slope,) = torch.autograd.grad(soft_distance(x, y).sum(), x, create_graph=True)
    with pytest.raises(ParameterError, match="no second derivative"):
        slope.sum().backward()


def test_without_gradients_none_is_computed():
    x, y = batch("sqeuclidean")
    with torch.no_grad():
        assert not soft_distance(x, y).requires_grad
    assert not soft_distance(x.detach(), y.detach()).requires_grad
    soft_distance(x, y.detach()).sum().backward()
    assert y.grad is None
    assert x.grad.abs().sum() > 0


def test_tensors_of_any_layout_work():
    x, y = batch("sqeuclidean")
    wanted = soft_distance(x, y)
    turned = x.detach().permute(2, 0, 1).contiguous().permute(1, 2, 0).requires_grad_()
    assert not turned.is_contiguous()
    found = soft_distance(turned, y)
    assert torch.equal(found, wanted)
    assert torch.equal(
        torch.autograd.grad(found.sum(), turned)[0], torch.autograd.grad(wanted.sum(), x)[0]
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_module_reduces(reduction):
    x, y = batch("manhattan")
    found = SoftDtw(0.5, metric="manhattan", radius=3, reduction=reduction)(x, y)
    each = soft_distance(x, y, gamma=0.5, metric="manhattan", radius=3)
    assert torch.equal(found, each if reduction == "none" else getattr(each, reduction)())


def test_the_divergence_of_the_module():
    x, y = batch("sqeuclidean")
    found = SoftDtw(0.5, divergence=True, reduction="none")(x, y)
    found.sum().backward()
    one = soft_divergence(x[1].detach().numpy(), y[1].detach().numpy(), gamma=0.5)
    assert found[1].item() == pytest.approx(one.distance)
    np.testing.assert_allclose(x.grad[1].numpy(), one.gradient_x, rtol=1e-9, atol=1e-12)
    lengths = torch.tensor([3, 7, 2])
    same = SoftDtw(divergence=True)(x, x.detach(), lengths, lengths)
    assert same.item() == pytest.approx(0, abs=1e-12)


def test_descent_brings_series_together():
    x, y = batch("sqeuclidean", pairs=2, n=20, m=30)
    loss = SoftDtw(0.1, divergence=True)
    optimizer = torch.optim.Adam([x], lr=0.1)
    first = loss(x, y.detach()).item()
    for _ in range(60):
        optimizer.zero_grad()
        value = loss(x, y.detach())
        value.backward()
        optimizer.step()
    assert value.item() < first / 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3, 4)}, "shape"),
        ({"x": torch.zeros(3, 0, 2)}, "shape"),
        ({"x": torch.zeros(3, 4, 5)}, "the same"),
        ({"x": torch.zeros(3, 4, 2).half()}, "float16"),
        ({"x": torch.zeros(3, 4, 2).double()}, "float64"),
        ({"x": torch.full((3, 4, 2), torch.nan)}, "nan"),
        ({"y": None}, "missing"),
        ({"gamma": 0.0}, "gamma"),
        ({"radius": -1}, "radius"),
        ({"metric": "chebyshev"}, "chebyshev"),
        ({"x_lengths": torch.tensor([1, 2])}, "x_lengths"),
        ({"x_lengths": torch.tensor([1, 2, 5])}, "1 to 4"),
        ({"x_lengths": torch.tensor([0, 2, 4])}, "1 to 4"),
        ({"y_lengths": torch.tensor([[True, False, True]] * 3)}, "gaps"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"x": torch.zeros(3, 4, 2), "y": torch.zeros(3, 3, 2)} | change
    with pytest.raises(ParameterError, match=message):
        soft_distance(**given)


def test_bad_settings_are_refused():
    with pytest.raises(ParameterError, match="median"):
        SoftDtw(reduction="median")
    with pytest.raises(ParameterError, match="precomputed"):
        SoftDtw(metric="precomputed", divergence=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_cuda_equals_cpu(metric, kind):
    tensors = batch(metric, pairs=5, n=70, m=1100, kind=kind)
    there = [tensor.detach().cuda().requires_grad_() for tensor in tensors]
    lengths = torch.tensor([70, 3, 50, 64, 1]), torch.tensor([1100, 900, 1, 33, 1])
    given = {"metric": metric, "radius": 40, "x_lengths": lengths[0], "y_lengths": lengths[1]}
    wanted, found = soft_distance(*tensors, **given), soft_distance(*there, **given)
    torch.testing.assert_close(found.cpu(), wanted)
    wanted.sum().backward()
    found.sum().backward()
    for one, other in zip(there, tensors, strict=True):
        torch.testing.assert_close(one.grad.cpu(), other.grad, rtol=1e-4, atol=1e-5)


SIMULATION = """
import numpy as np
from avalign.dtw.problem import METRIC_CODES
from avalign.dtw.soft_dtw.cuda import sweep
from avalign.dtw.soft_dtw.verbs import soft

rng = np.random.default_rng(0)
lengths = np.array([5, 3, 1]), np.array([4, 7, 2])
for metric in ("sqeuclidean", "euclidean", "manhattan", "precomputed"):
    for radius in (-1, 1):
        x = rng.normal(size=(3, 5, 2))
        y = rng.normal(size=(3, 7, 2))
        if metric == "precomputed":
            x, y = rng.uniform(size=(3, 5, 7)), np.zeros((3, 0, 0))
        k = np.zeros((3, 15, 7))
        exponents, sums = np.full_like(k, -np.inf), np.zeros((3, 2))
        gradients = np.zeros_like(x), np.zeros_like(y)
        scale = -1 / (0.2 * np.log(2))
        # Two threads for up to five cells of an anti-diagonal.
        sweep[3, 2](
            x, y, *lengths, scale, METRIC_CODES[metric], radius, k, exponents, sums, *gradients
        )
        for pair, (n, m) in enumerate(zip(*lengths)):
            cut = [x[pair, :n, :m]] if metric == "precomputed" else [x[pair, :n], y[pair, :m]]
            band = None if radius < 0 else radius
            wanted = soft(*cut, gamma=0.2, metric=metric, radius=band)
            distance = (np.log2(sums[pair, 0]) + sums[pair, 1]) / scale
            np.testing.assert_allclose(distance, wanted.distance, rtol=1e-12)
            columns = wanted.gradient_x.shape[1]
            np.testing.assert_allclose(
                gradients[0][pair, :n, :columns], wanted.gradient_x, rtol=1e-9, atol=1e-12
            )
            assert not gradients[0][pair, n:].any()
            if metric != "precomputed":
                np.testing.assert_allclose(
                    gradients[1][pair, :m], wanted.gradient_y, rtol=1e-9, atol=1e-12
                )
"""


def test_the_cuda_kernel_is_right_in_simulation():
    subprocess.run(
        [sys.executable, "-c", SIMULATION],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        check=True,
        timeout=240,
    )


def test_arguments_that_are_no_tensors_are_refused():
    x = torch.zeros((1, 3, 1))
    for wrong in ([[[0.0]]], None, "x", 3):
        with pytest.raises(ParameterError, match=r"x is .*give a tensor"):
            soft_distance(wrong, x)
    with pytest.raises(ParameterError, match=r"y is .*give a tensor"):
        soft_distance(x, [[[0.0]]])
    with pytest.raises(ParameterError, match=r"x_lengths is .*give a tensor"):
        soft_distance(x, x, x_lengths=[3])
    for change in ({"gamma": "1"}, {"gamma": None}, {"metric": []}, {"radius": 0.5}):
        with pytest.raises(ParameterError):
            soft_distance(x, x, **change)
    with pytest.raises(ParameterError, match="no reduction"):
        SoftDtw(reduction=["mean"])


def test_soft_distances_that_overflow_float32_are_refused():
    x = torch.zeros((1, 5, 1))
    with pytest.raises(ParameterError, match=r"overflow torch.float32 .*float64"):
        soft_distance(x, x, gamma=1e39)
    wide = soft_distance(x.double(), x.double(), gamma=1e39)
    assert float(wide[0]) == pytest.approx(-1e39 * math.log(321))
