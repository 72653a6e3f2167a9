"""Distances between many series, and places of a query in one."""

import threading

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign import dtw
from avalign.dtw import matrices

# Many kernels are compiled for these.
pytestmark = pytest.mark.slow

quick = settings(max_examples=50)
values = st.integers(-4, 4).map(float)
series = st.lists(values, min_size=1, max_size=20)


class TestPairwise:
    @quick
    @given(
        st.lists(series, min_size=1, max_size=5),
        st.none() | st.lists(series, min_size=1, max_size=4),
        st.none() | st.integers(0, 5),
        st.sampled_from([np.float32, np.float64]),
        st.sampled_from(["sqeuclidean", "manhattan"]),
    )
    def test_every_entry_is_the_distance(self, X, Y, radius, dtype, metric):
        X = [np.array(one, dtype) for one in X]
        Y = None if Y is None else [np.array(one, dtype) for one in Y]
        matrix = dtw.pairwise(X, Y, radius=radius, metric=metric)
        assert matrix.dtype == dtype
        expected = [
            [dtw.distance(x, y, radius=radius, metric=metric) for y in (X if Y is None else Y)]
            for x in X
        ]
        assert matrix.tolist() == expected

    @pytest.mark.parametrize("others", [None, np.arange(14.0).reshape(7, 2)])
    def test_many_pairs_make_few_tasks(self, monkeypatch, others):
        monkeypatch.setattr(matrices, "PAIRS_AT_ONCE", 1)
        monkeypatch.setattr(matrices, "MOST_TASKS", 4)
        X = np.random.default_rng(3).normal(size=(9, 4))
        done = []
        matrix = dtw.pairwise(
            X,
            others,
            radius=1,
            n_jobs=3,
            progress=lambda count, total: done.append((count, total)),
        )
        expected = [
            [dtw.distance(x, y, radius=1) for y in (X if others is None else others)] for x in X
        ]
        assert matrix.tolist() == expected
        total = 45 if others is None else 63
        assert done[-1] == (total, total)
        assert len(done) <= 4 + 9

    @pytest.mark.parametrize("pattern", ["symmetric2", "asymmetricP0", "rabiner_juang_1b"])
    def test_step_patterns(self, pattern):
        X = np.random.default_rng(0).normal(size=(5, 12, 2))
        matrix = dtw.pairwise(X, step_pattern=pattern, n_jobs=2)
        expected = [[dtw.distance(x, y, step_pattern=pattern) for y in X] for x in X]
        assert matrix.tolist() == expected

    @pytest.mark.parametrize("arguments", [{}, {"step_pattern": "symmetric2"}])
    @pytest.mark.parametrize("n_jobs", [1, 3, -1])
    def test_threads_change_nothing_and_progress_ends_at_the_total(self, n_jobs, arguments):
        generator = np.random.default_rng(1)
        X = [generator.normal(size=n) for n in generator.integers(1, 60, 20)]
        calls, here = [], threading.get_ident()
        threads = set()

        def progress(done, total):
            calls.append((done, total))
            threads.add(threading.get_ident())

        matrix = dtw.pairwise(X, n_jobs=n_jobs, progress=progress, **arguments)
        assert matrix.tolist() == dtw.pairwise(X, **arguments).tolist()
        assert (matrix == matrix.T).all()
        assert not matrix.diagonal().any()
        dones, totals = zip(*calls, strict=True)
        assert list(dones) == sorted(set(dones))
        assert set(totals) == {dones[-1]}
        assert threads == {here}

    def test_weights_types_and_arrays(self):
        X = np.random.default_rng(2).normal(size=(4, 9)).astype(np.float32)
        weights = dtw.logistic_weights(9, steepness=1)
        matrix = dtw.pairwise(X, weights=weights)
        assert matrix[1, 3] == dtw.distance(X[1], X[3], weights=weights)
        assert dtw.pairwise([X[0], X[1].astype(float)]).dtype == np.float64
        assert dtw.pairwise(X[:, :, None]).tolist() == dtw.pairwise(X).tolist()


class TestSubsequence:
    @quick
    @given(series, series, st.sampled_from(["sqeuclidean", "manhattan"]))
    def test_every_end_has_its_best_start(self, query, longer, metric):
        costs, starts = naive.subsequences(np.array(query), np.array(longer), metric)
        found = dtw.subsequence(query, longer, metric=metric, exclusion=0)
        assert [match.distance for match in found] == sorted(costs)
        for match in found:
            end = match.stop - 1
            assert (match.start, match.distance) == (starts[end], costs[end])
            path = match.path
            assert path[0].tolist() == [0, match.start]
            assert path[-1].tolist() == [len(query) - 1, end]
            local = naive.local_costs(query, longer, metric)
            assert sum(local[i, j] for i, j in path) == match.distance

    @quick
    @given(series, series)
    def test_matches_do_not_overlap(self, query, longer):
        found = dtw.subsequence(query, longer)
        taken = np.zeros(len(longer), int)
        for match in found:
            taken[match.start : match.stop] += 1
        assert taken.max() == 1
        costs, starts = naive.subsequences(np.array(query), np.array(longer))
        assert found[0].distance == min(costs)
        # Whatever was not taken overlaps a match that is as cheap or cheaper.
        for end, (cost, start) in enumerate(zip(costs, starts, strict=True)):
            assert any(
                match.distance <= cost and match.start <= end and start < match.stop
                for match in found
            )

    @quick
    @given(series, series, st.integers(0, 6), st.integers(1, 4), st.floats(0, 60))
    def test_limits(self, query, longer, exclusion, top_k, worst):
        found = dtw.subsequence(
            query, longer, exclusion=exclusion, top_k=top_k, max_distance=worst
        )
        assert len(found) <= top_k
        assert all(match.distance <= worst for match in found)
        ends = sorted(match.stop for match in found)
        assert all(np.diff(ends) > exclusion)
        unlimited = dtw.subsequence(query, longer, exclusion=exclusion)
        kept = [m.stop for m in unlimited if m.distance <= worst][:top_k]
        assert kept == [match.stop for match in found]

    def test_planted_copies_are_found_in_order_of_their_noise(self):
        generator = np.random.default_rng(4)
        query = generator.normal(size=(30, 3))
        longer = generator.normal(size=(600, 3)) * 2
        for place, noise in [(40, 0.1), (300, 0.0), (500, 0.2)]:
            copy = query + noise * generator.normal(size=query.shape)
            longer[place : place + 45] = np.repeat(copy, [1, 2] * 14 + [2, 1], axis=0)
        found = dtw.subsequence(query, longer, top_k=3)
        assert [(m.start, m.stop) for m in found] == [(300, 345), (40, 85), (500, 545)]
        assert found[0].distance == 0

    @pytest.mark.parametrize("pattern", ["symmetric2", "asymmetric", "symmetricP1"])
    def test_step_patterns(self, pattern):
        generator = np.random.default_rng(5)
        query, longer = generator.normal(size=12), generator.normal(size=80)
        best = dtw.subsequence(query, longer, step_pattern=pattern, top_k=1)[0]
        expected = dtw.path(query, longer, step_pattern=pattern, open_begin=True, open_end=True)
        assert best.distance == expected.distance
        assert best.path.tolist() == expected.path.tolist()

    def test_cosine_and_a_query_longer_than_the_series(self):
        generator = np.random.default_rng(6)
        query, longer = generator.normal(size=(20, 3)), generator.normal(size=(5, 3))
        best = dtw.subsequence(query, longer, metric="cosine", top_k=1)[0]
        expected = dtw.distance(query, longer, metric="cosine", open_begin=True, open_end=True)
        assert best.distance == expected

    def test_no_match(self):
        assert dtw.subsequence([5.0], [0.0, 1.0], max_distance=1.0) == []
        # Paths of this pattern take half as many rows as the query at least.
        assert dtw.subsequence([1.0] * 9, [1.0], step_pattern="symmetricP1") == []
