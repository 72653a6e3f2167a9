"""The elastic path: DTW of two embedded streams within a band of lags.

Rows of both streams lie on clocks of one rate, and their inner products are log evidence.
A path takes every row of the reference once and may begin and end anywhere in the other
stream; where that stream has nothing, rows of zeros stand for "no evidence". Every step
off the diagonal costs, because evidence per row is weak and takes keep their pace for a
while; two diagonal steps must lie between two such steps, which bounds the local pace to
2/3 and 3/2. What was put in or left out is jumped over, for a higher price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.types import FeatureStream

# Rows that the sub-row peak looks at on either side of the path.
_REACH = 2


@dataclass(frozen=True, slots=True, eq=False)
class ElasticPath:
    """Where each of the N rows of the reference lies in the other stream.

    `path` holds rows of the reference against rows of the other, int32 [K, 2]. `lag_s` is time
    in the other stream minus time in the reference, finer than a row; `evidence` the inner
    product along the path (0 where a stream has nothing), `most_evidence` that of rows of the
    same direction; `sharpness` how clearly the lag stands out. `passed_over` rows are left out
    by the other stream; `segment` numbers the stretches between jumps. `at_edge`: the path
    follows the edge of the band.
    """

    path: NDArray[np.int32]
    times_s: NDArray[np.float64]
    lag_s: NDArray[np.float64]
    evidence: NDArray[np.float64]
    most_evidence: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    passed_over: NDArray[np.bool_]
    segment: NDArray[np.int64]
    at_edge: bool


def elastic_path(
    reference: FeatureStream,
    other: FeatureStream,
    *,
    centre_s: float,
    band_s: float,
    step_cost: float,
    jump_cost: float,
    window_s: float,
) -> ElasticPath:
    """Find the path of most evidence in the band ``centre_s +- band_s`` of lags.

    Embeddings lie on uniform clocks of one rate; zeros where nothing is known. Steps off the
    diagonal and jumps cost evidence; over `window_s` evidence is averaged to find the lag
    between rows.
    """
    # Importing Numba takes a while, and most commands do without.
    from avalign.dtw import path_with_jumps

    for stream in (reference, other):
        if len(stream) < 2:
            raise ParameterError(
                f"a stream has {len(stream)} rows", "two recordings of some length are needed"
            )
    if reference.values.shape[1] != other.values.shape[1]:
        raise ParameterError(
            f"the streams have {reference.values.shape[1]} and {other.values.shape[1]} columns",
            "embed both with the same model",
        )
    period = float(reference.times_s[1] - reference.times_s[0])
    half = round(band_s / period)
    if half < 1:
        raise ParameterError(f"a band of {band_s:g} s holds one lag", "widen the band")
    rows = len(reference)
    # Row i of the reference meets rows i + first ... i + first + 2 * half of the other.
    lead_s = float(other.times_s[0] - reference.times_s[0])
    first = round((centre_s - lead_s) / period) - half
    a = reference.values
    window = _slice_with_zeros(other.values, first, rows + 2 * half)

    found = path_with_jumps(a, window, step_cost=step_cost, jump_cost=jump_cost)
    matched = ~found.passed_over
    # A new stretch begins with columns that are passed over, and after rows that are.
    begins = np.concatenate([[False], found.passed_over[:-1] & matched[1:]])
    begins[found.jumps] = True
    segment = np.cumsum(begins)
    columns = found.columns
    offsets, sharpness = np.zeros(rows), np.zeros(rows)
    for number in range(int(segment[-1]) + 1):
        inside = np.flatnonzero((segment == number) & matched)
        offsets[inside], sharpness[inside] = _between_rows(
            a[inside], window, columns[inside], round(window_s / period)
        )
    nearest = np.rint(columns).astype(np.intp)
    evidence = np.where(matched, np.einsum("ij,ij->i", a, window[nearest]), 0.0)
    lengths = (np.linalg.norm(each, axis=1) for each in (a, window[nearest]))
    most_evidence = np.where(matched, np.prod(list(lengths), axis=0), 0.0).astype(np.float64)
    lag_s = lead_s + period * (columns + offsets - np.arange(rows) + first)
    exists = (found.path[:, 1] + first >= 0) & (found.path[:, 1] + first < len(other))
    path = found.path[exists] + np.array([0, first], np.int32)
    band = columns - np.arange(rows)
    at_edge = (band <= 0) | (band >= 2 * half)
    there = matched & (columns + first >= 0) & (columns + first < len(other))
    return ElasticPath(
        path.astype(np.int32),
        reference.times_s,
        lag_s,
        evidence,
        most_evidence,
        sharpness,
        found.passed_over,
        segment,
        bool(np.mean(at_edge[there] if there.any() else at_edge) > 0.02),
    )


def _slice_with_zeros(rows: NDArray[np.float32], first: int, count: int) -> NDArray[np.float32]:
    """Take `count` rows from row `first` on; rows that are not there are zeros."""
    taken = np.zeros((count, rows.shape[1]), np.float32)
    begin, end = max(first, 0), min(first + count, len(rows))
    if end > begin:
        taken[begin - first : end - first] = rows[begin:end]
    return taken


def _between_rows(
    a: NDArray[np.float32], b: NDArray[np.float32], columns: NDArray[np.float64], span: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Refine each row's column to the vertex of a parabola through the evidence beside it."""
    nearest = np.rint(columns).astype(np.intp)
    beside = np.arange(-_REACH, _REACH + 1)
    products = np.empty((len(beside), len(a)))
    for row, step in enumerate(beside):
        at = np.clip(nearest + step, 0, len(b) - 1)
        products[row] = np.einsum("ij,ij->i", a, b[at])
    averaged = _moving_mean(products, span)
    best = 1 + np.argmax(averaged[1:-1], axis=0)
    everywhere = np.arange(len(a))
    left, middle, right = (averaged[best + step, everywhere] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    peaked = bend < 0
    vertex = np.where(peaked, 0.5 * (left - right) / np.where(peaked, bend, 1.0), 0.0)
    offsets = nearest - columns + (best - _REACH) + np.clip(vertex, -1.0, 1.0)
    return offsets, np.maximum(-bend, 0.0)


def _moving_mean(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Mean along time over `span` values, fewer at the ends."""
    half = max(span // 2, 0)
    count = values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    begin = np.clip(np.arange(count) - half, 0, count)
    end = np.clip(np.arange(count) + half + 1, 0, count)
    result: NDArray[np.float64] = (sums[:, end] - sums[:, begin]) / (end - begin)
    return result
