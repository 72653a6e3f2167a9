"""Two recordings of the same words: how the second one's clock runs against the first's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from avalign.align.elastic import ElasticPath, elastic_path
from avalign.align.evidence import BLOCK_ROWS, LARGEST_LAG_S, gather_evidence
from avalign.align.recordings.coarse import best_pace, lag_band, resample_at_pace
from avalign.align.recordings.factors import low_rank
from avalign.align.recordings.pairs import SHORTEST_S, EmbeddedPair, Kind, check_length
from avalign.align.recordings.whole import fit_quarters, quarters
from avalign.align.warp import Model, choose_model, fit_pieces, weighted_quantile
from avalign.errors import ParameterError
from avalign.types import Alignment, FeatureStream, LagMap, TimeWarp

if TYPE_CHECKING:
    from numpy.typing import NDArray


WarpModel = Literal["auto", "rigid", "drift", "piecewise", "elastic"]

_WIDEST_BAND_S = 120.0
# Evidence is summed in blocks of this length.
_BLOCK_S = 0.5
# Fewer rows between two jumps say nothing.
_SHORTEST_PIECE = 5
# A table of the band must fit into memory: without room for the lags that pieces show, the
# band stays around the best lag of the whole.
_MOST_CELLS = 300_000_000


def align_pair(
    pair: EmbeddedPair, *, model: WarpModel = "auto", band_s: float | None = None
) -> Alignment:
    """Find how the clock of a recording runs against that of the reference.

    One lag and one pace are found for the whole recordings first, then DTW within a band
    around them, then the smooth warp that explains its path.

    Parameters
    ----------
    pair : EmbeddedPair
        Both recordings.
    model : {"auto", "rigid", "drift", "piecewise", "elastic"}
        One lag, a lag that changes steadily, either of them between jumps, or a free one
        with jumps; auto takes the simplest that explains the lags.
    band_s : float, optional
        How far the lag may wander from a steady pace, in seconds; default 5 for sound and
        1.5 for lips, and farther where pieces of the reference lie farther off.

    Returns
    -------
    Alignment
        With a `warp` from the reference's clock to the other recording's. Its confidence
        says whether to believe it: below `MATCH_CONFIDENCE` there are no common words, or
        there is a quarter of the time that the path does not explain.
        The lags of its curve are those of `other` played at the pace in `diagnostics`.

    Raises
    ------
    NoAnswerError
        If one of them holds next to nothing, or they cannot overlap.
    ParameterError
        If an argument cannot be used.
    """
    kind = pair.kind
    if model not in get_args(WarpModel):
        raise ParameterError(
            f"no model {model!r} of a warp", f"take {', '.join(get_args(WarpModel))}"
        )
    if band_s is not None and not 0.1 <= band_s <= _WIDEST_BAND_S:
        raise ParameterError(f"a band of {band_s:g} s", f"take 0.1 to {_WIDEST_BAND_S:g} s")
    kind = kind if band_s is None else replace(kind, band_s=band_s)
    for stream in (pair.reference, pair.other):
        check_length(stream)
    # The same inner products from fewer columns.
    reference, other = (
        replace(stream, values=values)
        for stream, values in zip(
            (pair.reference, pair.other),
            low_rank(pair.reference.values, pair.other.values),
            strict=True,
        )
    )
    period = float(reference.times_s[1] - reference.times_s[0])
    pace, curve = best_pace(reference, other, kind.max_lag_s)
    paced = resample_at_pace(other, pace)
    centre_s = float(curve.lags_s[np.argmax(curve.score)])
    band = (centre_s - kind.band_s, centre_s + kind.band_s)
    if band_s is None:
        wide = lag_band(
            reference, paced, centre_s, reach_s=kind.band_s, widest_s=_WIDEST_BAND_S
        )
        band = wide if len(reference) * (wide[1] - wide[0]) <= _MOST_CELLS * period else band
    found = _path(reference, paced, band, kind)
    backwards = replace(paced, values=np.ascontiguousarray(paced.values[::-1]))
    by_chance = _path(reference, backwards, band, kind).evidence
    chance = float(by_chance.sum())

    lag_s = pace * (found.times_s + found.lag_s) - found.times_s
    weights = found.sharpness * reference.valid
    pieces = _pieces(found)
    chosen: Model = (
        _choose_for_pieces(found, lag_s, weights, pieces, kind) if model == "auto" else model
    )
    warp = fit_pieces(
        found.times_s,
        lag_s,
        weights,
        pieces,
        chosen,
        smoothing_s=kind.smoothing_s,
        tolerance_s=kind.tolerance_s,
    )
    rows = max(len(np.unique(found.path[:, 0])), 1)
    peak = float(curve.score.max())
    gain = (float(found.evidence.sum()) - chance) / math.sqrt(rows)
    same_words = kind.match.probability(peak, gain) if rows * period >= SHORTEST_S else 0.0
    fit = fit_quarters(
        found.times_s,
        found.evidence,
        by_chance,
        found.most_evidence,
        stretch_s=kind.stretch_s,
    )
    lags_s = (warp.to_other(found.times_s) - found.times_s)[~found.passed_over]
    low_s, middle_s, high_s = (
        weighted_quantile(lags_s, weights[~found.passed_over], fraction)
        for fraction in (0.025, 0.5, 0.975)
    )
    return Alignment(
        audio_lag_s=middle_s,
        interval_s=(low_s, high_s),
        confidence=same_words * fit.worst,
        at_edge=found.at_edge,
        path=_to_own_pace(found.path, pace),
        curve=curve,
        agreement=_agreement(found, reference.valid, period),
        speech_s=rows * period,
        drift_ppm=_drift_ppm(warp) if chosen in ("rigid", "drift") else None,
        warp=warp,
        model=chosen,
        diagnostics={
            "peak": peak,
            "gain": gain,
            "overlap_s": rows * period,
            "pace": pace,
            "same_words": same_words,
            "worst_fit": fit.worst,
            "worst_begin_s": fit.worst_s[0],
            "worst_end_s": fit.worst_s[1],
        },
    )


def lag_map(pair: EmbeddedPair, alignment: Alignment, *, band_s: float = 1.0) -> LagMap:
    """Lay out the cost matrix around the path: evidence for every lag over time.

    Parameters
    ----------
    pair : EmbeddedPair
        Both recordings.
    alignment : Alignment
        What `align_pair` made of them.
    band_s : float, optional
        How far beyond the lags of the path the map reaches, up to 15 s in all.

    Returns
    -------
    LagMap
        Mean evidence per row in blocks of time.
    """
    warp = alignment.warp
    lags_s = np.array([alignment.audio_lag_s]) if warp is None else warp.lag_s
    low_s, high_s = float(lags_s.min()), float(lags_s.max())
    centre_s = (low_s + high_s) / 2
    reach_s = min((high_s - low_s) / 2 + band_s, LARGEST_LAG_S)
    moved = replace(pair.other, times_s=pair.other.times_s - centre_s)
    gathered = gather_evidence(moved, pair.reference, reach_s)
    return LagMap(gathered.lags_s + centre_s, gathered.times_s, gathered.values / BLOCK_ROWS)


def residuals_s(alignment: Alignment) -> tuple[float, tuple[float, ...]]:
    """Say how far off the clocks of two recordings are that should run alike.

    Parameters
    ----------
    alignment : Alignment
        What `align_pair` made of them.

    Returns
    -------
    whole : float
        The lag, early or late, that is kept within for 95 % of the time.
    by_quarters : tuple of float
        The same for each quarter of the time; NaN where nothing is compared.
    """
    shown, warp = alignment.agreement, alignment.warp
    assert warp is not None
    off_s = np.abs(warp.to_other(shown.times_s) - shown.times_s)
    # Instants in a jump have no counterpart.
    compared = shown.valid.copy()
    for jump in warp.jumps:
        begin_s, end_s = warp.reference_s[jump : jump + 2]
        compared &= (shown.times_s <= begin_s) | (shown.times_s >= end_s)
    if not compared.any():
        return float("nan"), (float("nan"),) * len(quarters(shown.times_s, compared))
    return float(np.quantile(off_s[compared], 0.95)), tuple(
        float(np.quantile(off_s[rows], 0.95)) if len(rows) else float("nan")
        for rows in quarters(shown.times_s, compared)
    )


def _path(
    reference: FeatureStream, other: FeatureStream, band: tuple[float, float], kind: Kind
) -> ElasticPath:
    return elastic_path(
        reference,
        other,
        centre_s=(band[0] + band[1]) / 2,
        band_s=(band[1] - band[0]) / 2,
        step_cost=kind.step_cost,
        jump_cost=kind.jump_cost,
        window_s=kind.window_s,
    )


def _pieces(found: ElasticPath) -> tuple[NDArray[np.intp], ...]:
    """Rows between jumps, without those that are passed over."""
    matched = ~found.passed_over
    pieces = [
        np.flatnonzero(matched & (found.segment == number))
        for number in range(int(found.segment[-1]) + 1)
    ]
    long = tuple(rows for rows in pieces if len(rows) >= _SHORTEST_PIECE)
    return long or (np.arange(len(found.times_s)),)


def _choose_for_pieces(
    found: ElasticPath,
    lag_s: NDArray[np.float64],
    weights: NDArray[np.float64],
    pieces: tuple[NDArray[np.intp], ...],
    kind: Kind,
) -> Model:
    """Choose the simplest model that explains every piece."""
    models = [
        choose_model(
            found.times_s[rows], lag_s[rows], weights[rows], tolerance_s=kind.tolerance_s
        )
        for rows in pieces
    ]
    if "elastic" in models:
        return "elastic"
    return models[0] if len(models) == 1 else "piecewise"


def _to_own_pace(path: NDArray[np.int32], pace: float) -> NDArray[np.int32]:
    """Turn rows of the other stream as played at a pace to its own; no row is passed over."""
    columns = np.rint(path[:, 1] * pace).astype(np.int32)
    own = np.column_stack([path[:, 0], columns])
    passed_over = np.flatnonzero(np.diff(columns) > 1)
    between = own[passed_over] + np.array([0, 1], np.int32)
    own = np.insert(own, passed_over + 1, between, axis=0)
    fresh = np.any(np.diff(own, axis=0, prepend=-1) != 0, axis=1)
    return own[fresh]


def _drift_ppm(warp: TimeWarp) -> float:
    change_s = float(warp.lag_s[-1] - warp.lag_s[0])
    return 1e6 * change_s / float(warp.reference_s[-1] - warp.reference_s[0])


def _agreement(found: ElasticPath, valid: NDArray[np.bool_], period: float) -> FeatureStream:
    """Mean evidence along the path, block by block."""
    size = max(1, round(_BLOCK_S / period))
    starts = np.arange(0, len(found.times_s), size)
    counts = np.diff(np.append(starts, len(found.times_s)))
    means = np.add.reduceat(found.evidence, starts) / counts
    seen = np.add.reduceat(valid.astype(int), starts) > 0
    middles = np.minimum(starts + size // 2, len(found.times_s) - 1)
    return FeatureStream(
        means[:, None].astype(np.float32), found.times_s[middles], seen, "agreement"
    )
