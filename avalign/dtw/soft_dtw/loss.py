"""Soft-DTW as a loss of torch: batches, padding, gradients."""

# torch does not type Function.apply.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from avalign.arguments import choice, flag, whole
from avalign.dtw.compiled import MANHATTAN
from avalign.dtw.problem import METRIC_CODES, PRECOMPUTED
from avalign.dtw.soft_dtw.solver import check_gamma, solve
from avalign.dtw.soft_dtw.tensors import (
    check_batch,
    count_rows,
    refuse_what_is_not_finite,
    row_mask,
)
from avalign.errors import ParameterError

# Below so many cells, starting threads takes longer than they save.
CELLS_WORTH_THREADS = 1 << 16

Reduction = Literal["mean", "sum", "none"]


def soft_distance(
    x: Tensor,
    y: Tensor | None = None,
    *,
    gamma: float = 1.0,
    metric: str = "sqeuclidean",
    radius: int | None = None,
    x_lengths: Tensor | None = None,
    y_lengths: Tensor | None = None,
) -> Tensor:
    """Return the soft distance of each pair of a batch.

    On the CPU pairs are computed side by side, in as many threads as torch may use. The
    gradient is computed along with the distance where one is needed, so that nothing of
    the size of a cost matrix waits for the backward pass. There is no second derivative.

    Parameters
    ----------
    x : Tensor, shape (B, N, D)
        Series, time in the middle, float32 or float64, on the CPU or a CUDA device.
    y : Tensor, shape (B, M, D), optional
        The others, of the same type and device; None with precomputed costs.
    gamma : float
        The smoothing, above 0, in the unit of the costs.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine", "precomputed"}
        The local cost. With "precomputed", x holds matrices of costs, (B, N, M).
    radius : int, optional
        Sakoe-Chiba radius in cells, around the diagonal of each pair's own lengths.
    x_lengths, y_lengths : Tensor, shape (B,), or boolean of shape (B, N) or (B, M), optional
        How many rows of each series count, or a mask that is True for them, which come
        first. What is behind them may hold anything and gets no gradient.

    Returns
    -------
    Tensor, shape (B,)
        The soft distances.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or `gamma` is too small to tell from 0.

    Examples
    --------
    >>> x = torch.tensor([[[0.0], [1.0], [3.0]]], requires_grad=True)
    >>> soft_distance(x, torch.tensor([[[0.0], [3.0]]]), gamma=0.1).backward()
    >>> x.grad.flatten().tolist()
    [0.0, 2.0, 0.0]
    """
    check_gamma(gamma)
    y = check_batch(x, y, metric)
    precomputed = metric == "precomputed"
    columns = x.shape[2] if precomputed else y.shape[1]
    x_lengths = count_rows(x_lengths, x.shape[0], x.shape[1], "x_lengths")
    y_lengths = count_rows(y_lengths, x.shape[0], columns, "y_lengths")
    x_counts = row_mask(x_lengths, x.shape[1], x.device)
    y_counts = row_mask(y_lengths, columns, x.device)
    refuse_what_is_not_finite(x, x_counts & y_counts.mT if precomputed else x_counts, "x")
    if not precomputed:
        refuse_what_is_not_finite(y, y_counts, "y")
    scale = 1.0
    if metric == "cosine":
        # Of rows of length 1, the cosine distance is half the squared Euclidean one.
        scale = 0.5
        x = nn.functional.normalize(x.masked_fill(~x_counts, 0), dim=-1)
        y = nn.functional.normalize(y.masked_fill(~y_counts, 0), dim=-1)
    distances: Tensor = _SoftDtwFunction.apply(
        x,
        y,
        x_lengths,
        y_lengths,
        gamma / scale,
        MANHATTAN if metric == "euclidean" and x.shape[2] == 1 else METRIC_CODES[metric],
        -1 if radius is None else whole(radius, "radius"),
        # Under no_grad, tensors that require a gradient get none.
        torch.is_grad_enabled() and (x.requires_grad or y.requires_grad),
    )
    return distances * scale


class SoftDtw(nn.Module):
    """Soft-DTW of batches, as a module.

    Parameters
    ----------
    gamma, metric, radius
        As in :func:`soft_distance`.
    divergence : bool
        Subtract the mean of the soft distances of each series to itself, so that equal
        series are 0 apart; see :func:`avalign.dtw.soft_divergence`.
    reduction : {"mean", "sum", "none"}
        What to do with the distances of the batch.
    """

    def __init__(
        self,
        gamma: float = 1.0,
        *,
        metric: str = "sqeuclidean",
        radius: int | None = None,
        divergence: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_gamma(gamma)
        choice(reduction, "reduction", get_args(Reduction))
        if flag(divergence, "divergence") and metric == "precomputed":
            raise ParameterError(
                "the divergence of precomputed costs",
                "it needs the costs of each series with itself too: combine three calls",
            )
        self.gamma = gamma
        self.metric = metric
        self.radius = radius
        self.divergence = divergence
        self.reduction = reduction

    def forward(
        self,
        x: Tensor,
        y: Tensor | None = None,
        x_lengths: Tensor | None = None,
        y_lengths: Tensor | None = None,
    ) -> Tensor:
        """Return the soft distances of a batch, reduced.

        Parameters
        ----------
        x, y, x_lengths, y_lengths : Tensor
            As in :func:`soft_distance`.

        Returns
        -------
        Tensor, shape () or (B,)
            Their mean, their sum, or each of them.
        """
        distances = self._pairs(x, y, x_lengths, y_lengths)
        if self.divergence:
            own = self._pairs(x, x, x_lengths, x_lengths)
            own = own + self._pairs(y, y, y_lengths, y_lengths)
            distances = distances - own / 2
        if self.reduction == "mean":
            return distances.mean()
        return distances.sum() if self.reduction == "sum" else distances

    def extra_repr(self) -> str:
        """Return the settings, as text.

        Returns
        -------
        str
            What stands in the brackets when the module is printed.
        """
        return (
            f"gamma={self.gamma}, metric={self.metric!r}, radius={self.radius}, "
            f"divergence={self.divergence}, reduction={self.reduction!r}"
        )

    def _pairs(
        self, x: Any, y: Any, x_lengths: Tensor | None, y_lengths: Tensor | None
    ) -> Tensor:
        return soft_distance(
            x,
            y,
            gamma=self.gamma,
            metric=self.metric,
            radius=self.radius,
            x_lengths=x_lengths,
            y_lengths=y_lengths,
        )


class _SoftDtwFunction(torch.autograd.Function):
    """Distances forth; back, the gradients that were found along with them."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        x_lengths: Tensor,
        y_lengths: Tensor,
        gamma: float,
        metric: int,
        radius: int,
        wanted: bool,
    ) -> Tensor:
        distances = x.new_zeros(x.shape[0])
        gradient_x = torch.zeros_like(x, memory_format=torch.contiguous_format)
        gradient_y = torch.zeros_like(y, memory_format=torch.contiguous_format)
        _runner(x.device)(
            distances,
            x.detach().contiguous(),
            y.detach().contiguous(),
            x_lengths,
            y_lengths,
            gamma,
            metric,
            radius,
            (gradient_x, gradient_y) if wanted else None,
        )
        if not torch.isfinite(distances).all():
            raise ParameterError(
                f"soft distances overflow {distances.dtype}",
                "lower gamma and scale the series down, or pass float64",
            )
        if wanted:
            ctx.save_for_backward(x, y, gradient_x, gradient_y)
        return distances

    @staticmethod
    def backward(ctx: Any, incoming: Tensor) -> Any:
        x, y, gradient_x, gradient_y = ctx.saved_tensors
        wants_x, wants_y = ctx.needs_input_grad[:2]
        return (
            _FirstDerivative.apply(incoming, gradient_x, x) if wants_x else None,
            _FirstDerivative.apply(incoming, gradient_y, y) if wants_y else None,
            *[None] * 6,
        )


class _FirstDerivative(torch.autograd.Function):
    """The chain rule; to differentiate it again is an error, where zeros would be silent."""

    @staticmethod
    def forward(ctx: Any, incoming: Tensor, gradient: Tensor, series: Tensor) -> Tensor:
        return incoming[:, None, None] * gradient

    @staticmethod
    def backward(ctx: Any, incoming: Tensor) -> Any:
        raise ParameterError(
            "soft-DTW has no second derivative here",
            "detach its gradient, or leave out create_graph=True",
        )


def _runner(device: torch.device) -> Callable[..., None]:
    """Return what computes on a device."""
    if device.type == "cpu":
        return _run_on_cpu
    from avalign.dtw.soft_dtw.cuda import run_on_cuda

    return run_on_cuda


def _run_on_cpu(
    distances: Tensor,
    x: Tensor,
    y: Tensor,
    x_lengths: Tensor,
    y_lengths: Tensor,
    gamma: float,
    metric: int,
    radius: int,
    gradients: tuple[Tensor, Tensor] | None,
) -> None:
    """Fill `distances` and, where there are any, `gradients`, in the tensors' memory."""
    series = x.numpy(), y.numpy()
    slopes = tuple(gradient.numpy() for gradient in gradients) if gradients else None
    lengths = list(zip(x_lengths.tolist(), y_lengths.tolist(), strict=True))

    def one_pair(pair: int) -> float:
        n, m = lengths[pair]
        if metric == PRECOMPUTED:
            costs = np.ascontiguousarray(series[0][pair, :n, :m])
            nothing = np.empty((0, 0), costs.dtype)
            fractions = nothing if slopes is None else np.zeros_like(costs)
            distance = solve(costs, nothing, metric, radius, gamma, nothing, nothing, fractions)
            if slopes is not None:
                slopes[0][pair, :n, :m] = fractions
            return distance
        left, right = series[0][pair, :n], series[1][pair, :m]
        nothing = np.empty((0, 0), left.dtype)
        if slopes is None:
            return solve(left, right, metric, radius, gamma, nothing, nothing, nothing)
        found = slopes[0][pair, :n], slopes[1][pair, :m]
        return solve(left, right, metric, radius, gamma, *found, nothing)

    threads = min(torch.get_num_threads(), len(lengths))
    if threads < 2 or sum(n * m for n, m in lengths) < CELLS_WORTH_THREADS:
        found = [one_pair(pair) for pair in range(len(lengths))]
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(one_pair, range(len(lengths))))
    distances.copy_(torch.tensor(found, dtype=torch.float64))
