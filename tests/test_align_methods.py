"""Similarity, segment graphs and canonical time warping, by known answers."""

import numpy as np
import pytest

from avalign.align import (
    active_segments,
    canonical_time_warping,
    lip_movement,
    match_segments,
    nearest_rows,
    similarity_matrix,
    similarity_path,
)
from avalign.align.recordings.factors import low_rank
from avalign.align.segments import Segment
from avalign.errors import ParameterError
from avalign.types import FeatureStream

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_nearest_rows_undo_a_permutation(metric):
    rows = RNG.normal(size=(40, 6))
    order = RNG.permutation(40)
    assert np.array_equal(nearest_rows(rows, rows[order], metric=metric), np.argsort(order))


def test_similarities_are_what_they_say():
    a, b = np.array([[3.0, 4.0]]), np.array([[4.0, 3.0], [-3.0, -4.0], [0.0, 0.0]])
    assert similarity_matrix(a, b)[0] == pytest.approx([0.96, -1.0, 0.0])
    expected = [-np.sqrt(2.0), -10.0, -5.0]
    assert similarity_matrix(a, b, metric="euclidean")[0] == pytest.approx(expected)


@pytest.mark.slow
def test_the_similarity_path_follows_rows_that_are_held():
    rows = RNG.normal(size=(12, 5))
    held = np.repeat(np.arange(12), RNG.integers(1, 4, 12))
    found = similarity_path(rows, rows[held])
    assert np.array_equal(found.path[:, 0], held)
    assert found.distance == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "metric"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), "cosine"),
        (np.ones((3, 2)), np.full((3, 2), np.nan), "cosine"),
        (np.ones(3), np.ones(3), "cosine"),
        (np.ones((0, 2)), np.ones((3, 2)), "cosine"),
        (np.ones((3, 2)), np.ones((3, 2)), "hamming"),
    ],
)
def test_similarity_refuses_what_cannot_be_compared(a, b, metric):
    with pytest.raises(ParameterError):
        similarity_matrix(a, b, metric=metric)


def test_a_short_product_keeps_inner_products_of_low_rank():
    common = RNG.normal(size=(5, 20)).astype(np.float32)
    a = RNG.normal(size=(30, 5)).astype(np.float32) @ common
    b = RNG.normal(size=(50, 5)).astype(np.float32) @ common
    short_a, short_b = low_rank(a, b, rank=5)
    assert short_a.shape == (30, 5)
    assert np.allclose(short_a @ short_b.T, a @ b.T, rtol=1e-4, atol=1e-2)


def test_rows_of_nothing_have_no_inner_products():
    nothing, some = np.zeros((4, 3), np.float32), np.ones((5, 3), np.float32)
    short = low_rank(nothing, some)
    assert np.array_equal(short[0] @ short[1].T, np.zeros((4, 5)))


def segments(*spans):
    return tuple(Segment(start_s, end_s) for start_s, end_s in spans)


def test_activity_is_cut_into_stretches():
    times_s = np.arange(300) / 100
    high = np.zeros(300, bool)
    high[50:100] = high[110:150] = high[200:205] = True  # a gap of 0.1 s, and a blip
    stream = FeatureStream(
        high[:, None].astype(np.float32), times_s, np.ones(300, bool), "speech"
    )
    (only,) = active_segments(stream)
    assert (only.start_s, only.end_s) == pytest.approx((0.5, 1.5))


def test_a_planted_matching_is_found():
    starts_s = np.cumsum(RNG.uniform(0.8, 2.5, 14))
    chain = segments(*((start, start + RNG.uniform(0.2, 0.7)) for start in starts_s))
    dropped = {3, 4, 9}
    kept = [place for place in range(14) if place not in dropped]
    # Another clock, a little jitter, three segments missing, and one that is not speech.
    moved = [
        Segment(
            chain[place].start_s + 7.0 + RNG.normal(0, 0.02),
            chain[place].end_s + 7.0 + RNG.normal(0, 0.02),
        )
        for place in kept
    ]
    moved.insert(6, Segment(moved[5].end_s + 0.05, moved[5].end_s + 0.10))
    places = [place if place < 6 else place + 1 for place in range(len(kept))]
    assert match_segments(chain, moved) == tuple(zip(kept, places, strict=True))


def test_what_is_nothing_alike_is_not_matched():
    assert match_segments(segments((0.0, 0.2)), segments((0.0, 9.0))) == ()
    assert match_segments((), segments((0.0, 1.0))) == ()
    with pytest.raises(ParameterError):
        match_segments((), (), unmatched_cost=0.0)


def test_a_moving_mouth_stands_out():
    from planted import lips

    face = lips(duration_s=4.0)
    points = np.zeros((len(face), 41, 3), np.float32)
    talking = (face.times_s >= 1.0) & (face.times_s < 2.0)
    wave = 0.2 * np.sin(2 * np.pi * 4.0 * face.times_s)
    points[:, 24:27, 1] = np.where(talking, 0.2 + wave, 0.0)[:, None]
    face.values[:] = points.reshape(len(face), -1)
    (only,) = active_segments(lip_movement(face))
    assert only.start_s == pytest.approx(1.0, abs=0.25)
    assert only.end_s == pytest.approx(2.0, abs=0.25)


def views(rows=240):
    """Two views of one smooth curve, one of them at a pace that wanders."""
    rng = np.random.default_rng(3)
    place = np.linspace(0, 1, rows)
    warped = place + 0.06 * np.sin(2 * np.pi * place)
    shapes = [(2.0, 0.3), (3.7, 1.1), (5.3, 0.2)]
    first, second = (
        np.stack([np.sin(2 * np.pi * f * at + phase) for f, phase in shapes], axis=1)
        for at in (place, warped)
    )
    x = first @ rng.normal(size=(3, 5)) + 0.01 * rng.normal(size=(rows, 5))
    y = second @ rng.normal(size=(3, 4)) + 0.01 * rng.normal(size=(rows, 4))
    return x, y, np.interp(place, warped, place) * (rows - 1)


@pytest.mark.slow
def test_canonical_time_warping_recovers_what_raw_dtw_misses():
    from avalign import dtw

    x, y, truth = views()
    found = canonical_time_warping(x, y, n_components=3)
    assert found.converged

    def error(path):
        return np.abs(path[:, 1] - truth[path[:, 0]]).mean()

    straight = error(np.stack([np.arange(240)] * 2, axis=1))
    raw = error(dtw.path(x[:, :4], y).path)
    assert error(found.path) < 1.5
    assert straight > 5
    assert raw > 5
    assert found.cca.correlations_.min() > 0.95


def test_canonical_time_warping_checks_what_it_is_given():
    x, y, _ = views(60)
    with pytest.raises(ParameterError, match="leaves"):
        canonical_time_warping(x, y, path=[[0, 0], [60, 1]])
    with pytest.raises(ParameterError, match="max_rounds"):
        canonical_time_warping(x, y, max_rounds=0)
    with pytest.raises(ParameterError, match="type"):
        canonical_time_warping(x, y, path=[[0.5, 0.5]])
