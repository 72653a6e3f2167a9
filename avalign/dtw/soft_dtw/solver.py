"""Soft-DTW of checked series: which smoothing is possible, and in which type it is computed."""

from __future__ import annotations

import math
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.arguments import real
from avalign.dtw.soft_dtw.kernels import soft_pair
from avalign.errors import ParameterError

# Anti-diagonals that are cached at a time: a few rows of blocks stay in the cache.
BLOCK = 64
# Far enough from the ends of float64 for quotients and products of gamma with costs.
SMALLEST_GAMMA, LARGEST_GAMMA = 1e-307, 1e307
# Exponents are floats, and their sums must be exact with room for a fraction.
LARGEST_EXPONENT = {np.dtype(np.float32): 2.0**20, np.dtype(np.float64): 2.0**48}


def check_gamma(gamma: object) -> float:
    """Return `gamma`, if it is a number that soft-DTW can work with."""
    otherwise = "for gamma = 0 call distance and path"
    return real(gamma, "gamma", least=SMALLEST_GAMMA, most=LARGEST_GAMMA, otherwise=otherwise)


def per_cost(gamma: float, kind: np.dtype[Any]) -> Any:
    """Return what takes costs to powers of two, None where the type has no such number."""
    factor = 1 / (gamma * math.log(2))
    limits = np.finfo(kind)
    return kind.type(-factor) if limits.tiny <= factor <= limits.max else None


def solve(
    x: NDArray[Any],
    y: NDArray[Any],
    metric: int,
    radius: int,
    gamma: float,
    gradient_x: NDArray[Any],
    gradient_y: NDArray[Any],
    alignment: NDArray[Any],
) -> float:
    """Return the soft distance, in the type it needs; fill the gradients that are not empty."""
    # Costs may overflow, or be too large beside gamma, in float32 only.
    diagonals = len(x) + (len(y) or x.shape[1]) - 1
    block = max(BLOCK, isqrt(diagonals))
    outputs = gradient_x, gradient_y, alignment
    for kind in dict.fromkeys((x.dtype, np.dtype(np.float64))):
        scale = per_cost(gamma, kind)
        if scale is None:
            continue
        wide = [array.astype(kind, copy=False) for array in (x, y, *outputs)]
        mantissa, exponent = soft_pair(
            wide[0], wide[1], metric, radius, scale, block, wide[2], wide[3], wide[4]
        )
        if abs(exponent) < LARGEST_EXPONENT[kind]:
            for output, array in zip(outputs, wide[2:], strict=True):
                if output is not array:
                    output[...] = array
            distance = -gamma * math.log(2) * (exponent + math.log2(mantissa))
            if not math.isfinite(distance):
                raise ParameterError(
                    f"the soft distance overflows float64 with a gamma of {gamma:g}",
                    "scale the series and gamma down",
                )
            return distance
    raise too_large_error(gamma, exponent)


def too_large_error(gamma: float, exponent: float) -> ParameterError:
    """Return the complaint that the logarithms of sums, to base 2, reach this far."""
    costs = -gamma * math.log(2) * exponent
    about = f"costs of about {costs:.3g}" if math.isfinite(costs) else "costs that overflow"
    return ParameterError(
        f"{about} are too large for a gamma of {gamma:g}",
        "raise gamma or scale the series down; for gamma = 0 call distance and path",
    )
