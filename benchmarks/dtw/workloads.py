"""What is timed: each workload is one record, and makes its own data from a fixed seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avalign.errors import ParameterError

Kind = Literal["distance", "path", "pairwise", "subsequence", "soft"]
Measure = Literal["ratio", "seconds", "megabytes"]
Array = NDArray[np.floating[Any]]

BASELINE = "dtaidistance"
PRUNED = "dtaidistance, pruned"
DISTANCE_ONLY = "avalign, distance only"
GAMMA = 1.0


@dataclass(frozen=True, slots=True)
class Bar:
    """What avalign has to reach in a workload.

    Parameters
    ----------
    measure : {'ratio', 'seconds', 'megabytes'}
        How many times as fast as a peer, wall time of one call, or its peak memory.
    floor, goal : float
        What must hold, and what is wanted.
    against : str
        The peer of a ratio.
    """

    measure: Measure
    floor: float
    goal: float
    against: str = ""

    def verdict(self, value: float) -> str:
        """Return 'goal', 'floor' or 'MISSED', or nothing where nothing was measured."""
        if not np.isfinite(value):
            return ""
        more_is_better = self.measure == "ratio"
        reached = [
            value >= b if more_is_better else value <= b for b in (self.goal, self.floor)
        ]
        return "goal" if reached[0] else "floor" if reached[1] else "MISSED"


@dataclass(frozen=True, slots=True)
class Task:
    """Arrays to work on.

    Parameters
    ----------
    workload : Workload
        What they were made for.
    series : list of ndarray, shape (N,) or (N, D) each
        ``[x, y]`` of a pair, ``[query, series]`` of a search, all series of a matrix, or
        ``[x, y]`` with shape (batch, N, D) for soft-DTW.
    """

    workload: Workload
    series: list[Array]

    def as_float64(self) -> list[Array]:
        """Return the series for libraries that take nothing else."""
        return [np.ascontiguousarray(each, np.float64) for each in self.series]


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the table of bars.

    Parameters
    ----------
    name : str
        Names it on the command line and in files.
    title : str
        Says what it is.
    kind : {'distance', 'path', 'pairwise', 'subsequence', 'soft'}
        What is asked for.
    rows, columns : int
        Lengths of the two series.
    dimensions : int
        Values per row; 1 makes one-dimensional arrays.
    dtype : {'float64', 'float32'}
        Of the arrays; a peer that takes only float64 is given that.
    radius : int, optional
        Cells on either side of the diagonal (Sakoe-Chiba). Lengths are equal then, so that
        every library can be told the same cells.
    count : int
        Series of a matrix, or pairs of a batch.
    bars : tuple of Bar
        What to reach.
    baseline : str
        The peer that ratios are to.
    quick : bool
        Part of ``--quick``.
    memory : bool
        Measure the peak memory of each contender, each in a process of its own.
    """

    name: str
    title: str
    kind: Kind
    rows: int
    columns: int
    dimensions: int = 1
    dtype: str = "float64"
    radius: int | None = None
    count: int = 1
    bars: tuple[Bar, ...] = ()
    baseline: str = BASELINE
    quick: bool = False
    memory: bool = False

    @property
    def cells(self) -> int:
        """How many cells of the cost matrix have to be computed."""
        if self.kind == "pairwise":
            return self.count * (self.count - 1) // 2 * self.rows * self.columns
        if self.radius is None:
            return self.count * self.rows * self.columns
        outside = max(0, self.rows - 1 - self.radius)
        return self.rows * self.columns - outside * (outside + 1)

    def with_half_floors(self) -> Workload:
        """Return the workload as judged where vectors are half as wide as AVX-512's."""
        bars = (
            replace(bar, floor=bar.floor / 2)
            if bar.against and bar.against != DISTANCE_ONLY
            else bar
            for bar in self.bars
        )
        return replace(self, bars=tuple(bars))

    def make(self, seed: int = 0) -> Task:
        """Make the data; the same seed gives the same."""
        rng = np.random.default_rng(seed)
        dimensions = self.dimensions
        if self.kind == "pairwise":
            series = [_walk(rng, self.rows, dimensions) for _ in range(self.count)]
        elif self.kind == "soft":
            pairs = [_pair(rng, self.rows, dimensions) for _ in range(self.count)]
            series = [
                np.stack(each).reshape(self.count, self.rows, -1)
                for each in zip(*pairs, strict=True)
            ]
        elif self.kind == "subsequence":
            found = _walk(rng, self.columns, dimensions)
            at = self.columns // 3
            query = _warped(rng, found[at : at + self.rows])
            series = [query, found]
        else:
            series = list(_pair(rng, self.rows, dimensions))
        return Task(self, [np.ascontiguousarray(each, self.dtype) for each in series])


def _walk(rng: np.random.Generator, rows: int, dimensions: int) -> Array:
    """Make a random walk of mean 0 and deviation 1, as in the literature on DTW."""
    shape = (rows,) if dimensions == 1 else (rows, dimensions)
    walk = rng.standard_normal(shape).cumsum(axis=0)
    return (walk - walk.mean(axis=0)) / walk.std(axis=0)


def _warped(rng: np.random.Generator, walk: Array) -> Array:
    """Warp time by up to 1.6 % of the length, and add noise."""
    rows = len(walk)
    time = np.linspace(0, 1, rows)
    at = np.clip(time + 0.016 * np.sin(6 * np.pi * time), 0, 1) * (rows - 1)
    below = np.minimum(at.astype(int), max(0, rows - 2))
    above = np.minimum(below + 1, rows - 1)
    fraction = (at - below).reshape(-1, *[1] * (walk.ndim - 1))
    warped = (1 - fraction) * walk[below] + fraction * walk[above]
    return warped + 0.05 * rng.standard_normal(walk.shape)


def _pair(rng: np.random.Generator, rows: int, dimensions: int) -> tuple[Array, Array]:
    """Make two series that belong together: such pairs are what people align.

    They also suit libraries that prune: a good upper bound leaves few cells.
    """
    walk = _walk(rng, rows, dimensions)
    return walk, _warped(rng, walk)


def _ratio(floor: float, goal: float, against: str = BASELINE) -> Bar:
    return Bar("ratio", floor, goal, against)


def _distance(name: str, title: str, n: int, *bars: Bar, **more: object) -> Workload:
    return replace(Workload(name, title, "distance", n, n, bars=bars), **more)  # type: ignore[arg-type]


def _path(name: str, title: str, n: int, *bars: Bar, **more: object) -> Workload:
    return replace(_distance(name, title, n, *bars, **more), kind="path")


_MFCC, _EMBEDDING = "D = 13 (MFCC)", "D = 32 (embedding)"

WORKLOADS: tuple[Workload, ...] = (
    _distance("a-200", "1-D distance, N = 200", 200, _ratio(8, 15), quick=True),
    _distance("a-1000", "1-D distance, N = 1,000", 1000, _ratio(20, 35), quick=True),
    _distance(
        "a-5000",
        "1-D distance, N = 5,000",
        5000,
        _ratio(30, 50),
        _ratio(8, 14, PRUNED),
        _ratio(25, 40, "aeon"),
        quick=True,
    ),
    _distance(
        "a-5000-f32",
        "1-D distance, N = 5,000, float32",
        5000,
        _ratio(60, 100),
        dtype="float32",
        quick=True,
    ),
    _distance("b-1000", "band 10 %, N = 1,000", 1000, _ratio(10, 15), radius=100, quick=True),
    _distance("b-5000", "band 10 %, N = 5,000", 5000, _ratio(20, 35), radius=500, quick=True),
    _distance("b-20000", "band 10 %, N = 20,000", 20_000, _ratio(30, 45), radius=2000),
    _path("c-5000", "1-D path, N = 5,000", 5000, _ratio(35, 60), quick=True),
    _path(
        "c-20000",
        "1-D path, N = 20,000",
        20_000,
        Bar("megabytes", 64, 10),
        Bar("ratio", 1 / 1.5, 1 / 1.5, DISTANCE_ONLY),
        memory=True,
    ),
    _distance(
        "d-13", f"distance, {_MFCC}, N = 5,000", 5000, _ratio(8, 15), dimensions=13, quick=True
    ),
    _path(
        "d-13-path", f"path, {_MFCC}, N = 5,000", 5000, _ratio(5, 12), dimensions=13, quick=True
    ),
    _path(
        "d-13-band",
        f"path in a 10 % band, {_MFCC}, N = 5,000",
        5000,
        _ratio(8, 15),
        dimensions=13,
        radius=500,
        quick=True,
    ),
    _distance("d-32", f"distance, {_EMBEDDING}, N = 5,000", 5000, _ratio(8, 15), dimensions=32),
    _path("d-32-path", f"path, {_EMBEDDING}, N = 5,000", 5000, _ratio(5, 12), dimensions=32),
    _path(
        "d-32-band",
        f"path in a 10 % band, {_EMBEDDING}, N = 5,000",
        5000,
        _ratio(8, 15),
        dimensions=32,
        radius=500,
    ),
    Workload(
        "e-48",
        "matrix of 48 series, N = 500",
        "pairwise",
        500,
        500,
        count=48,
        bars=(_ratio(25, 40),),
        quick=True,
    ),
    Workload(
        "e-48-f32",
        "matrix of 48 series, N = 500, float32",
        "pairwise",
        500,
        500,
        count=48,
        dtype="float32",
        bars=(_ratio(45, 70),),
    ),
    Workload(
        "f-500",
        "subsequence, 500 in 100,000",
        "subsequence",
        500,
        100_000,
        bars=(_ratio(25, 45),),
        quick=True,
    ),
    Workload(
        "g-8",
        "soft-DTW, value and gradient, 8 pairs, N = 500",
        "soft",
        500,
        500,
        count=8,
        baseline="pysdtw",
        bars=(_ratio(2, 10, "pysdtw"),),
        quick=True,
    ),
    _path(
        "h-1000000",
        "path, N = 1,000,000, radius 2,000",
        1_000_000,
        Bar("seconds", 15, 5),
        Bar("megabytes", 512, 256),
        radius=2000,
        memory=True,
    ),
)


def select(names: Sequence[str] | None, *, quick: bool) -> list[Workload]:
    """Choose workloads by name or by the letter of their group.

    Parameters
    ----------
    names : sequence of str, optional
        Such as ``["a", "c-5000"]``; all if left out.
    quick : bool
        Only those that suit a run of two minutes, unless they are named in full.

    Returns
    -------
    list of Workload
        In the order of the table.

    Raises
    ------
    ParameterError
        If a name fits no workload.
    """
    wanted = list(names or [])
    for name in wanted:
        if not any(name in (each.name, each.name[0]) for each in WORKLOADS):
            known = ", ".join(each.name for each in WORKLOADS)
            raise ParameterError(
                f"there is no workload {name!r}", f"choose a letter or of {known}"
            )
    return [
        each
        for each in WORKLOADS
        if each.name in wanted
        or ((not wanted or each.name[0] in wanted) and (each.quick or not quick))
    ]
