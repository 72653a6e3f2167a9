"""Soft attention as alignment: the lag between two streams, read off a cross-attention map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from avalign.align import sub_frame_peak
from avalign.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

# The interval leaves out this fraction of the weight at either end.
_TAIL = 0.025
# Less than this beyond even attention is rounding error.
_EVEN = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class AttentionLag:
    """Where attention looks, as a lag, for each item of a batch.

    Parameters
    ----------
    lag_s : ndarray of shape (B,), float64
        Time of what is attended to minus the time of the row that attends. Where the lips
        ask and the sound answers this is the audio lag: positive means late sound. NaN
        where attention is even, or nothing was valid.
    interval_s : ndarray of shape (B, 2), float64
        Lags between which 95 % of the weight lies.
    concentration : ndarray of shape (B,), float64
        Fraction of the weight that lies beyond even attention, 0 to 1. Near 0 the map says
        nothing of a lag.
    lags_s : ndarray of shape (L,), float64
        Lags of the curve, evenly spaced by the period of the keys.
    curve : ndarray of shape (B, L), float64
        The weight at each lag, in excess of what even attention would lay there.
    """

    lag_s: NDArray[np.float64]
    interval_s: NDArray[np.float64]
    concentration: NDArray[np.float64]
    lags_s: NDArray[np.float64]
    curve: NDArray[np.float64]


def attention_lag(
    attention: Tensor | ArrayLike,
    query_times_s: ArrayLike,
    key_times_s: ArrayLike,
    *,
    query_mask: Tensor | ArrayLike | None = None,
    key_mask: Tensor | ArrayLike | None = None,
    method: Literal["mode", "mean"] = "mode",
) -> AttentionLag:
    """Read the lag between two streams off the attention of one to the other.

    The heads are averaged, and every cell of the map votes with its weight for the lag
    between its two times. Rows near an end see more lags on one side than on the other,
    so that even attention would vote for a lag in the middle; `"mode"` therefore takes
    from each cell what even attention would lay there before it looks for the best lag.

    Parameters
    ----------
    attention : Tensor or array-like of shape (B, H, T, S)
        Weights of S keys for each of T queries and H heads.
    query_times_s : array-like of shape (T,)
        The clock of the rows that attend, strictly increasing.
    key_times_s : array-like of shape (S,)
        The clock of the rows that are attended to, strictly increasing.
    query_mask, key_mask : Tensor or array-like of bool, shape (B, T) and (B, S), optional
        Rows that count; by default all.
    method : {"mode", "mean"}, optional
        `"mode"`: the lag at which attention most exceeds even attention, between rows at
        the vertex of a parabola. `"mean"`: the lag averaged by the weights, which
        uses all of a sharp map, but is drawn to the middle by a diffuse one.

    Returns
    -------
    AttentionLag
        The lag of each item with its interval and how far to trust it.

    Raises
    ------
    ParameterError
        If shapes, clocks or the method do not fit, or a weight is negative or not finite.

    References
    ----------
    .. [1] D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly
       learning to align and translate", ICLR 2015.
    """
    if method not in ("mode", "mean"):
        raise ParameterError(f"the method is {method!r}", 'choose "mode" or "mean"')
    weights = _array(attention).astype(np.float64)
    if weights.ndim != 4 or 0 in weights.shape:
        raise ParameterError(
            f"the attention has shape {weights.shape}, not (B, H, T, S)",
            "give FusionOutput.attention[name], made with need_weights=True",
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ParameterError("a weight is negative or not finite", "give attention, not scores")
    items, _, queries, keys = weights.shape
    query_s = _clock(query_times_s, queries, "query_times_s")
    key_s = _clock(key_times_s, keys, "key_times_s")
    used = (
        _mask(query_mask, (items, queries), "query_mask")[:, :, None]
        & _mask(key_mask, (items, keys), "key_mask")[:, None, :]
    )

    cell_lag_s = key_s[None, :] - query_s[:, None]
    # A single key has no period; its only lags are those of the queries.
    steps_s = np.diff(key_s) if keys > 1 else np.diff(query_s)
    step_s = float(np.median(steps_s)) if len(steps_s) else 1.0
    bins = np.rint(cell_lag_s / step_s).astype(np.int64)
    first = int(bins.min())
    bins -= first
    lags_s = np.arange(first, first + int(bins.max()) + 1, dtype=np.float64) * step_s

    lag = np.full(items, np.nan)
    interval = np.full((items, 2), np.nan)
    concentration = np.zeros(items)
    curve = np.zeros((items, len(lags_s)))
    for item in range(items):
        fraction, even = _attention_fractions(weights[item].mean(axis=0), used[item])
        excess = fraction - even
        concentration[item] = np.maximum(excess, 0).sum()
        curve[item] = _sum_by_bin(bins, excess, len(lags_s))
        if not fraction.any() or (method == "mode" and concentration[item] < _EVEN):
            continue
        mass = _sum_by_bin(bins, fraction, len(lags_s))
        moment = _sum_by_bin(bins, fraction * cell_lag_s, len(lags_s))
        if method == "mean":
            lag[item] = moment.sum() / mass.sum()
        else:
            mass_beyond = np.maximum(curve[item], 0)
            best = int(mass_beyond.argmax())
            # The clocks need not fit the grid: what the best bin holds may lie beside it.
            beside_s = moment[best] / mass[best] - lags_s[best]
            lag[item] = sub_frame_peak(lags_s, mass_beyond, best) + beside_s
            mass = mass_beyond
        interval[item] = _interval(lags_s, mass, step_s, lag[item])
    return AttentionLag(lag, interval, concentration, lags_s, curve)


def _attention_fractions(
    weights: NDArray[np.float64], used: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Attention over the cells that count, and even attention over them; each sums to 1."""
    seen = np.where(used, weights, 0.0)
    totals = seen.sum(axis=1, keepdims=True)
    # A row that attends to nothing, as one without keys, does not count.
    rows = np.count_nonzero(totals)
    counts = np.where(totals > 0, used.sum(axis=1, keepdims=True), 0)
    fraction = np.divide(seen, totals * rows, out=np.zeros_like(seen), where=totals > 0)
    even = np.divide(used, counts * rows, out=np.zeros_like(seen), where=counts > 0)
    return fraction, even


def _sum_by_bin(
    bins: NDArray[np.int64], votes: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Sum the votes of all cells by the bin of their lag."""
    return np.asarray(np.bincount(bins.ravel(), votes.ravel(), count), np.float64)


def _interval(
    lags_s: NDArray[np.float64], mass: NDArray[np.float64], step_s: float, lag_s: float
) -> tuple[float, float]:
    """Lags between which all but the tails of the weight lies, each bin spread evenly."""
    edges_s = np.append(lags_s, lags_s[-1] + step_s) - step_s / 2
    reached = np.append(0.0, np.cumsum(mass)) / mass.sum()
    lower = float(np.interp(_TAIL, reached, edges_s))
    upper = float(np.interp(1 - _TAIL, reached, edges_s))
    return min(lower, lag_s), max(upper, lag_s)


def _array(values: Tensor | ArrayLike) -> NDArray[np.generic]:
    # Half precision of the GPU has no counterpart in every version of NumPy.
    if isinstance(values, torch.Tensor):
        copied = values.detach().cpu()
        return np.asarray(copied.double() if copied.is_floating_point() else copied)
    return np.asarray(values)


def _clock(times_s: ArrayLike, rows: int, name: str) -> NDArray[np.float64]:
    times = _array(times_s).astype(np.float64)
    if times.shape != (rows,):
        raise ParameterError(
            f"{name} has shape {times.shape}, not ({rows},)", "give one time for each row"
        )
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ParameterError(f"{name} does not increase", "give the times of the rows in order")
    return times


def _mask(
    mask: Tensor | ArrayLike | None, shape: tuple[int, int], name: str
) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(shape, np.bool_)
    rows = _array(mask)
    if rows.shape != shape or rows.dtype != np.bool_:
        raise ParameterError(
            f"{name} has shape {rows.shape} and type {rows.dtype}",
            f"give bool of shape {shape}, True where a row counts",
        )
    return rows.astype(np.bool_)
