"""Soft-DTW on a CUDA device: one block of threads per pair, an anti-diagonal at a time.

Recurrence and scaled arithmetic are those of :mod:`avalign.dtw.soft_dtw.kernels`.

    k[pair, d + 2, i + 1]    i    -1  0  1  2 ..  N       threads share out the cells of an
                      d = -2       1                      anti-diagonal and wait for each
                      d = -1       .                      other before the next
                      d = 0           *
                      d = 1           *  *
                      d = N + M                    1      1: paths enter here, and leave there
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN
from avalign.dtw.problem import PRECOMPUTED
from avalign.dtw.soft_dtw.solver import LARGEST_EXPONENT, per_cost, too_large_error
from avalign.errors import MissingDependencyError

if TYPE_CHECKING:
    from torch import Tensor

# As many as a block may have.
MOST_THREADS = 1024
# A power of two that vanishes in any sum.
NEGLIGIBLE = -4000.0
# Anti-diagonals -2 and -1 come before the first, and one row before the first of `x`.
BEFORE, ABOVE = 2, 1


@cuda.jit(device=True)
def _cost(x, y, pair, i, j, metric):
    if metric == PRECOMPUTED:
        return x[pair, i, j]
    total = x[pair, i, 0] - x[pair, i, 0]
    for c in range(x.shape[2]):
        difference = x[pair, i, c] - y[pair, j, c]
        total += abs(difference) if metric == MANHATTAN else difference * difference
    return math.sqrt(total) if metric == EUCLIDEAN else total


@cuda.jit(device=True)
def _align(mantissa, exponent, common):
    return math.ldexp(mantissa, int(max(exponent - common, NEGLIGIBLE)))


@cuda.jit(device=True)
def _extend(k, k_exponent, pair, at, one, two, side, cost, scale):
    """Store the sum of three neighbours times the weight of a cell; return it unweighted."""
    # The neighbours: on anti-diagonal `one` beside the cell and at `side`, on `two` at `side`.
    d, i = at
    exponent = max(
        k_exponent[pair, one, i], k_exponent[pair, one, side], k_exponent[pair, two, side]
    )
    total = (
        _align(k[pair, two, side], k_exponent[pair, two, side], exponent)
        + _align(k[pair, one, side], k_exponent[pair, one, side], exponent)
        + _align(k[pair, one, i], k_exponent[pair, one, i], exponent)
    )
    power = cost * scale
    whole = math.floor(power)
    mantissa, moved = math.frexp(total * 2.0 ** (power - whole))
    k[pair, d, i] = mantissa
    k_exponent[pair, d, i] = exponent + whole + moved
    return total, exponent


@cuda.jit(device=True)
def _add_gradient(x, y, pair, i, j, fraction, cost, metric, gradient_x, gradient_y):
    # Cells of an anti-diagonal differ in both i and j, so that no two threads meet.
    if metric == PRECOMPUTED:
        gradient_x[pair, i, j] = fraction
        return
    for c in range(x.shape[2]):
        slope = x[pair, i, c] - y[pair, j, c]
        if metric == MANHATTAN:
            slope = math.copysign(1.0, slope) if slope != 0 else 0.0
        elif metric == EUCLIDEAN:
            slope = slope / cost if cost > 0 else 0.0
        else:
            slope = 2 * slope
        gradient_x[pair, i, c] += fraction * slope
        gradient_y[pair, j, c] -= fraction * slope


@cuda.jit
def sweep(
    x, y, x_lengths, y_lengths, scale, metric, radius, k, k_exponent, sums, gradient_x,
    gradient_y,
):  # fmt: skip
    """Compute the sum over all paths of each pair, and the gradients there is room for."""
    # With PRECOMPUTED, x is (B, N, M). `scale` is -1 / (gamma * log(2)); k and its exponents,
    # (B, N + M + 3, N + 2), hold zeros and minus infinity; `sums`, (B, 2), gets mantissas and
    # exponents; gradients hold zeros, or are empty.
    pair, thread, threads = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    n, m = x_lengths[pair], y_lengths[pair]
    low, high = -radius - max(0, n - m), radius + max(0, m - n)
    if thread == 0:
        # Paths enter from a cell before the first.
        k[pair, 0, 0] = 1
        k_exponent[pair, 0, 0] = 0
    cuda.syncthreads()
    for d in range(n + m - 1):
        for i in range(max(0, d - m + 1) + thread, min(n - 1, d) + 1, threads):
            j = d - i
            if radius < 0 or low <= j - i <= high:
                cost = _cost(x, y, pair, i, j, metric)
                row, at = d + BEFORE, i + ABOVE
                _extend(k, k_exponent, pair, (row, at), row - 1, row - 2, at - 1, cost, scale)
        cuda.syncthreads()
    whole = k[pair, n + m - 2 + BEFORE, n - 1 + ABOVE]
    whole_exponent = k_exponent[pair, n + m - 2 + BEFORE, n - 1 + ABOVE]
    cuda.syncthreads()
    if thread == 0:
        sums[pair, 0] = whole
        sums[pair, 1] = whole_exponent
        # They leave to a cell behind the last.
        k[pair, n + m + BEFORE, n + ABOVE] = 1
        k_exponent[pair, n + m + BEFORE, n + ABOVE] = 0
    cuda.syncthreads()
    if gradient_x.shape[0] == 0:
        return
    for d in range(n + m - 2, -1, -1):
        for i in range(max(0, d - m + 1) + thread, min(n - 1, d) + 1, threads):
            j = d - i
            if radius < 0 or low <= j - i <= high:
                cost = _cost(x, y, pair, i, j, metric)
                row, at = d + BEFORE, i + ABOVE
                come, come_exponent = k[pair, row, at], k_exponent[pair, row, at]
                # What is left of the paths replaces what has come of them.
                left, left_exponent = _extend(
                    k, k_exponent, pair, (row, at), row + 1, row + 2, at + 1, cost, scale
                )
                power = max(come_exponent + left_exponent - whole_exponent, NEGLIGIBLE)
                fraction = math.ldexp(come * left / whole, int(power))
                _add_gradient(x, y, pair, i, j, fraction, cost, metric, gradient_x, gradient_y)
        cuda.syncthreads()


def run_on_cuda(
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
    """Fill `distances` [B] and the gradients, if any, on the device of `x` [B, N, D]."""
    import torch

    if not cuda.is_available():
        raise MissingDependencyError(
            "numba finds no CUDA toolkit, though torch has a device",
            "pip install numba-cuda with the toolkit of your driver, or move to the CPU",
        )
    columns = x.shape[2] if metric == PRECOMPUTED else y.shape[1]
    pairs, rows = x.shape[:2]
    lengths = x_lengths.to(x.device), y_lengths.to(x.device)
    for kind in dict.fromkeys((x.dtype, torch.float64)):
        name = np.dtype(str(kind).removeprefix("torch."))
        scale = per_cost(gamma, name)
        if scale is None:
            continue
        wide = [tensor.to(kind) for tensor in (x, y)]
        found = [torch.zeros_like(tensor) for tensor in wide] if gradients else []
        room = found or [x.new_empty((0, 0, 0), dtype=kind)] * 2
        k = x.new_zeros((pairs, rows + columns + 3, rows + 2), dtype=kind)
        exponents = torch.full_like(k, -math.inf)
        sums = x.new_empty((pairs, 2), dtype=kind)
        arguments: list[Any] = [
            *map(cuda.as_cuda_array, (*wide, *lengths)),
            scale,
            metric,
            radius,
            *map(cuda.as_cuda_array, (k, exponents, sums, *room)),
        ]
        threads = min(MOST_THREADS, -(-min(rows, columns) // 32) * 32)
        stream = cuda.external_stream(torch.cuda.current_stream(x.device).cuda_stream)
        with cuda.gpus[x.device.index or 0]:
            sweep[pairs, threads, stream](*arguments)
        mantissas, powers = sums.double().unbind(1)
        worst = float(powers.abs().max())
        if worst < LARGEST_EXPONENT[name]:
            distances.copy_(-gamma * math.log(2) * (powers + mantissas.log2()))
            for gradient, values in zip(gradients or (), found, strict=True):
                gradient.copy_(values)
            return
    raise too_large_error(gamma, -worst)
