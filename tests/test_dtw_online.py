"""Online DTW: exact with all columns in view, bounded with few, and on the spot."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign import dtw

quick = settings(max_examples=60)
rows = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=1, max_size=15)
SYMMETRIC2 = dtw.STEP_PATTERNS["symmetric2"].moves


@quick
@given(rows, rows, st.booleans(), st.data())
def test_in_full_view_it_is_the_last_row_of_exact_dtw(reference, live, open_begin, data):
    reference, live = np.array(reference, float), np.array(live, float)
    follower = dtw.OnlineDtw(reference, open_begin=open_begin)
    done = 0
    positions = []
    while done < len(live):
        count = data.draw(st.integers(1, len(live) - done))
        positions += follower.push(live[done : done + count]).tolist()
        done += count
        matrix, _ = naive.accumulate(
            naive.local_costs(live[:done], reference), SYMMETRIC2, open_begin=open_begin
        )
        np.testing.assert_array_equal(follower.costs, matrix[-1])
        assert follower.rows_seen == done
        assert follower.lag == done - 1 - positions[-1]
        if not open_begin:
            weights = done + np.arange(len(reference)) + 1
            assert positions[-1] == follower.position == np.argmin(matrix[-1] / weights)
    assert len(positions) == len(live)


@quick
@given(rows, rows, st.integers(1, 6))
def test_a_narrow_view_sees_only_the_columns_around_the_last_position(reference, live, radius):
    reference, live = np.array(reference, float), np.array(live, float)
    follower = dtw.OnlineDtw(reference, radius=radius, metric="manhattan")
    positions = [0, *follower.push(live)]
    window = np.array(
        [(max(p - radius, 0), min(p + radius + 1, len(reference))) for p in positions[:-1]]
    )
    matrix, _ = naive.accumulate(
        naive.local_costs(live, reference, "manhattan"), SYMMETRIC2, window
    )
    np.testing.assert_array_equal(follower.costs, matrix[-1])


@pytest.mark.parametrize("open_begin", [False, True])
@pytest.mark.parametrize("radius", [None, 60])
def test_it_follows_a_warped_copy(open_begin, radius):
    generator = np.random.default_rng(0)
    reference = np.cumsum(generator.normal(size=(1500, 4)), axis=0)
    begin = 400 if open_begin else 0
    truth = begin + np.cumsum(generator.choice([0, 1, 2], size=900, p=[0.2, 0.6, 0.2]))
    truth = truth[truth < len(reference)]
    live = reference[truth] + 0.1 * generator.normal(size=(len(truth), 4))
    follower = dtw.OnlineDtw(reference, radius=radius, open_begin=open_begin)
    positions = np.concatenate([follower.push(live[k : k + 7]) for k in range(0, len(live), 7)])
    assert np.median(np.abs(positions - truth)) == 0
    assert np.percentile(np.abs(positions - truth)[20:], 95) <= 2


def test_memory_does_not_grow():
    follower = dtw.OnlineDtw(np.arange(50.0), radius=10)
    follower.push(np.zeros(10))
    held = [value.nbytes for value in vars(follower).values() if isinstance(value, np.ndarray)]
    follower.push(np.zeros(5000))
    assert held == [
        value.nbytes for value in vars(follower).values() if isinstance(value, np.ndarray)
    ]


def test_float64_rows_are_not_rounded_to_a_float32_reference():
    follower = dtw.OnlineDtw(np.arange(3, dtype=np.float32), metric="manhattan")
    follower.push([1e60])
    assert follower.costs[0] == 1e60


def test_float32_and_one_feature():
    follower = dtw.OnlineDtw(np.arange(5, dtype=np.float32))
    assert follower.lag == 0
    assert follower.push(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert follower.push(np.array([[4.0]])).tolist() == [4]
    assert follower.lag == 1
