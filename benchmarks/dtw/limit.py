"""What the processor can do at best: the recurrence's operations on registers.

All state stays in registers; only the other series is read, one vector per turn, from an
array that fits the fastest cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from avalign.dtw.simd import vectors

# Subtract, multiply, two minima, add: what a cell with a squared cost cannot do without, if
# it is to be exact to the bit. Each further dimension adds a subtraction and a fused
# multiply-add.
OPERATIONS_PER_CELL = 5
LOOPS = 100_000
OTHER_VECTORS = 64
TRIES = 15


@dataclass(frozen=True, slots=True)
class Limit:
    """What one core can do at best.

    Parameters
    ----------
    dtype : str
        Of the numbers.
    operations_per_second : float
        Vector operations of 64 bytes, in the mix of the one-dimensional recurrence.
    cell_ns, dimension_ns : float
        Time of a one-dimensional cell, and what each further dimension adds.
    """

    dtype: str
    operations_per_second: float
    cell_ns: float
    dimension_ns: float

    def cells_per_second(self, dimensions: int) -> float:
        """Return the limit for series of so many dimensions."""
        return 1e9 / (self.cell_ns + (dimensions - 1) * self.dimension_ns)


def measure(dtype: str) -> Limit:
    """Time loops over registers.

    The minima are taken of floats or of their bits, whichever is faster, with 4 or 8 vectors
    side by side, as suits the number of registers.

    Parameters
    ----------
    dtype : {'float64', 'float32'}
        Of the numbers.

    Returns
    -------
    Limit
        From the fastest of several tries, as it is a limit.
    """
    lanes = vectors.BYTES // np.dtype(dtype).itemsize
    values = np.random.default_rng(0).random(OTHER_VECTORS * lanes).astype(dtype)
    cell_s = min(
        _seconds(kernel, values) / number
        for minimum in (vectors.minimum, vectors.minimum_of_nonnegative)
        for kernel, number in zip(_cell_loops(minimum), (4, 8), strict=True)
    )
    dimension_s = min(
        _seconds(kernel, values) / number
        for kernel, number in zip(_dimension_loops(), (4, 8), strict=True)
    )
    return Limit(
        dtype,
        OPERATIONS_PER_CELL / cell_s,
        cell_s / lanes * 1e9,
        dimension_s / lanes * 1e9,
    )


def _seconds(kernel: Any, values: Any) -> float:
    kernel(values, 1)
    best = np.inf
    for _ in range(TRIES):
        started = time.process_time()
        kernel(values, LOOPS)
        best = min(best, (time.process_time() - started) / LOOPS)
    return float(best)


def _cell_loops(minimum: Callable[..., Any]) -> tuple[Any, Any]:
    """Make loops over 4 and 8 vectors of cells.

    Neighbours are values not yet replaced: no copies, and no waiting for each other.
    """

    @numba.njit(error_model="numpy", forceinline=True)
    def cell(diagonal: Any, x: Any, y: Any, left: Any, up: Any) -> Any:
        difference = x - y
        return difference * difference + minimum(minimum(diagonal, left), up)

    @numba.njit(error_model="numpy")
    def four(values: Any, loops: int) -> Any:
        x = vectors.load(values, 0)
        lanes = values.size // OTHER_VECTORS
        y = x + x
        a = b = c = d = x
        for turn in range(loops):
            y = vectors.load(values, turn % OTHER_VECTORS * lanes)
            a = cell(c, x, y, a, b)
            b = cell(d, x, y, b, c)
            c = cell(x, x, y, c, d)
            d = cell(x, x, y, d, x)
        return vectors.extract((a + b) + (c + d), 0)

    @numba.njit(error_model="numpy")
    def eight(values: Any, loops: int) -> Any:
        x = vectors.load(values, 0)
        lanes = values.size // OTHER_VECTORS
        y = x + x
        x1, x2, x3, x4 = x + y, x * y, x - y, x * x
        x5, x6, x7 = y * y, y + y, y - x
        a = b = c = d = e = f = g = h = x
        for turn in range(loops):
            y = vectors.load(values, turn % OTHER_VECTORS * lanes)
            a = cell(c, x, y, a, b)
            b = cell(d, x1, y, b, c)
            c = cell(e, x2, y, c, d)
            d = cell(f, x3, y, d, e)
            e = cell(g, x4, y, e, f)
            f = cell(h, x5, y, f, g)
            g = cell(x1, x6, y, g, h)
            h = cell(x2, x7, y, h, x2)
        return vectors.extract((a + b) + (c + d) + ((e + f) + (g + h)), 0)

    return four, eight


def _dimension_loops() -> tuple[Any, Any]:
    """Make loops that add squared differences to 4 and 8 vectors of costs."""

    @numba.njit(error_model="numpy", forceinline=True)
    def add(cost: Any, x: Any, y: Any) -> Any:
        difference = x - y
        return vectors.fused_multiply_add(difference, difference, cost)

    @numba.njit(error_model="numpy")
    def four(values: Any, loops: int) -> Any:
        x = vectors.load(values, 0)
        lanes = values.size // OTHER_VECTORS
        y = x + x
        x1, x2, x3 = x + y, x * y, x - y
        a = b = c = d = x
        for turn in range(loops):
            y = vectors.load(values, turn % OTHER_VECTORS * lanes)
            a, b, c, d = add(a, x, y), add(b, x1, y), add(c, x2, y), add(d, x3, y)
        return vectors.extract((a + b) + (c + d), 0)

    @numba.njit(error_model="numpy")
    def eight(values: Any, loops: int) -> Any:
        x = vectors.load(values, 0)
        lanes = values.size // OTHER_VECTORS
        y = x + x
        x1, x2, x3, x4 = x + y, x * y, x - y, x * x
        x5, x6, x7 = y * y, y + y, y - x
        a = b = c = d = e = f = g = h = x
        for turn in range(loops):
            y = vectors.load(values, turn % OTHER_VECTORS * lanes)
            a, b, c, d = add(a, x, y), add(b, x1, y), add(c, x2, y), add(d, x3, y)
            e, f, g, h = add(e, x4, y), add(f, x5, y), add(g, x6, y), add(h, x7, y)
        return vectors.extract((a + b) + (c + d) + ((e + f) + (g + h)), 0)

    return four, eight
