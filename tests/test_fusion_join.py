"""The join: streams and an alignment become rows that are simultaneous."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import alignment

from avalign import dtw
from avalign.errors import ParameterError
from avalign.fusion.join import bucket_batches, collate, from_alignment, path_warp
from avalign.types import AlignedSequence, FeatureStream, TimeWarp

SAMPLE = Path(__file__).parents[1] / "samples" / "talking-late160.mp4"


def ramp(rate_hz, *, begin_s=0.0, end_s=4.0, late_s=0.0, kind="mfcc"):
    """Rows that say when, in the picture, what they tell of happened."""
    times_s = np.arange(begin_s, end_s, 1 / rate_hz)
    values = np.column_stack([times_s - late_s, 2 * (times_s - late_s)]).astype(np.float32)
    return FeatureStream(values, times_s, np.ones(len(times_s), bool), kind)


def check_simultaneous(joined, tolerance_s=1e-5):
    for name, values in joined.streams.items():
        kept = joined.masks[name]
        assert kept.any()
        np.testing.assert_allclose(values[kept, 0], joined.times_s[kept], atol=tolerance_s)
        assert not values[~kept].any()
        assert values.dtype == np.float32


class TestFromAlignment:
    @pytest.mark.parametrize("lag_s", [0.0, 0.2, -0.333, 1.0])
    def test_equal_rows_are_simultaneous(self, lag_s):
        lips = ramp(25, kind="lips")
        audio = ramp(100, late_s=lag_s)
        joined = from_alignment(alignment(lag_s), audio, lips)
        check_simultaneous(joined)
        np.testing.assert_allclose(np.diff(joined.times_s), 0.02)
        # The grid meets the first picture, so that pictures are taken as they are.
        assert np.isclose(joined.times_s % 0.04, 0.0, atol=1e-9).any()

    def test_both_streams_reach_as_far_as_they_do(self):
        joined = from_alignment(alignment(1.0), ramp(100, late_s=1.0), ramp(25))
        assert joined.times_s[0] == pytest.approx(-1.0)
        assert joined.times_s[-1] == pytest.approx(3.96)
        heard, seen = joined.masks["audio"], joined.masks["lips"]
        assert joined.times_s[heard].max() == pytest.approx(2.98)
        assert joined.times_s[seen].min() == pytest.approx(0.0)

    def test_a_warp_moves_every_row_by_its_own_lag(self):
        knots_s = np.array([0.0, 1.0, 2.0, 4.0])
        warp = TimeWarp(knots_s, np.array([0.1, 1.4, 2.2, 4.5]))
        heard_s = np.arange(0, 5, 0.01)
        told = warp.inverse.to_other(heard_s).astype(np.float32)[:, None]
        audio = FeatureStream(told, heard_s, np.ones(len(heard_s), bool), "mfcc")
        joined = from_alignment(warp, audio, ramp(25))
        check_simultaneous(joined, 0.005)
        trusted = from_alignment(None, audio, ramp(25))
        heard = trusted.masks["audio"]
        wrong = np.abs(trusted.streams["audio"][heard, 0] - trusted.times_s[heard])
        assert wrong.max() > 0.3

    def test_a_path_is_consumed_whichever_engine_made_it(self):
        events = np.sin(np.arange(0, 12, 0.05)) + 0.1 * np.arange(240)
        seen, heard = events[::2], events[40:]
        found = dtw.path(seen, heard, open_begin=False, open_end=False).path
        seen_s, heard_s = np.arange(len(seen)) / 10, np.arange(len(heard)) / 20
        warp = path_warp(found, seen_s, heard_s)
        joined = from_alignment(
            warp,
            FeatureStream(heard[:, None], heard_s, np.ones(len(heard), bool), "mfcc"),
            FeatureStream(seen[:, None], seen_s, np.ones(len(seen), bool), "lips"),
            rate_hz=10,
        )
        both = joined.masks["audio"] & joined.masks["lips"]
        inside = both & (joined.times_s > 3)
        gap = joined.streams["audio"][inside] - joined.streams["lips"][inside]
        # Half a row of the finer stream, in which the events grow by up to 0.15.
        assert np.abs(gap).max() < 0.076

    def test_gaps_and_placeholders_stay_masked(self):
        lips = ramp(25)
        lips.valid[25:50] = False  # one second without a face
        lips.values[25:50] = np.nan
        lips.valid[75] = False  # one dropped picture is bridged
        joined = from_alignment(None, ramp(100), lips)
        check_simultaneous(joined)
        lost_s = joined.times_s[~joined.masks["lips"]]
        assert (lost_s.min(), lost_s[lost_s < 3].max()) == pytest.approx((0.98, 1.98))
        assert joined.masks["lips"][np.isclose(joined.times_s, 3.0)].all()

    def test_further_streams_ride_on_either_clock(self):
        joined = from_alignment(
            alignment(0.2),
            ramp(100, late_s=0.2),
            ramp(25),
            with_audio={"words": ramp(10, late_s=0.2)},
            with_picture={"pose": ramp(5)},
        )
        assert set(joined.streams) == {"audio", "lips", "words", "pose"}
        check_simultaneous(joined)

    def test_one_stream_alone(self):
        joined = from_alignment(alignment(0.5), ramp(100, late_s=0.5), None)
        assert list(joined.streams) == ["audio"]
        check_simultaneous(joined)

    def test_a_span_cuts_a_window(self):
        joined = from_alignment(None, ramp(100), ramp(25), span_s=(1.0, 2.0))
        assert (joined.times_s[0], joined.times_s[-1], len(joined)) == (1.0, 2.0, 51)
        beyond = from_alignment(None, ramp(100), ramp(25), span_s=(9.0, 9.5))
        assert not beyond.masks["audio"].any()

    def test_a_stream_without_a_valid_row_keeps_its_columns(self):
        lips = ramp(25)
        lips.valid[:] = False
        joined = from_alignment(None, ramp(100), lips)
        assert joined.streams["lips"].shape == (len(joined), 2)
        assert not joined.masks["lips"].any()

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ((None, None, None, {}), "no stream"),
            ((None, ramp(100), None, {"rate_hz": 0.0}), "0 rows per second"),
            ((None, ramp(100), None, {"span_s": (2.0, 1.0)}), "span"),
            ((None, ramp(100), None, {"span_s": (0.0, 1e9)}), "too many"),
            ((None, ramp(100), None, {"with_audio": {"audio": ramp(5)}}), "'audio' is taken"),
            ((None, ramp(100), None, {"with_picture": {"audio": ramp(5)}}), "comes twice"),
        ],
    )
    def test_refusals(self, arguments, named):
        found, audio, lips, options = arguments
        with pytest.raises(ParameterError, match=named):
            from_alignment(found, audio, lips, **options)

    def test_faulty_streams_are_named(self):
        holes = ramp(100)
        holes.values[3] = np.nan
        with pytest.raises(ParameterError, match="'audio' holds NaN"):
            from_alignment(None, holes, None)
        backwards = ramp(100)
        backwards.times_s[3] = 0.0
        with pytest.raises(ParameterError, match="'audio' do not increase"):
            from_alignment(None, backwards, None)

    def test_an_elastic_alignment_without_warp_is_refused(self):
        with pytest.raises(ParameterError, match="path_warp"):
            from_alignment(replace(alignment(0.0), model="elastic"), ramp(100), ramp(25))

    @pytest.mark.slow
    def test_a_real_clip(self):
        import avalign

        streams = avalign.extract(SAMPLE)
        found = avalign.align_streams(streams).alignment
        joined = from_alignment(found, streams.mfcc, streams.lips[0])
        assert np.mean(joined.masks["audio"] & joined.masks["lips"]) > 0.9

        def likeness(lag_s):
            mfcc, heard = streams.mfcc, joined.masks["audio"]
            sound = np.interp(joined.times_s + lag_s, mfcc.times_s, mfcc.values[:, 0])
            return np.corrcoef(sound[heard], joined.streams["audio"][heard, 0])[0, 1]

        # The sound of the sample is 160 ms late.
        assert likeness(0.16) > 0.95 > 0.8 > likeness(0.0)


class TestPathWarp:
    def test_a_diagonal(self):
        path = np.column_stack([np.arange(5), np.arange(5) + 2])
        warp = path_warp(path, np.arange(5) / 50, np.arange(10) / 50)
        np.testing.assert_allclose(warp.lag_s, 0.04)

    def test_steps_along_either_stream_become_their_middle(self):
        path = np.array([[0, 0], [1, 0], [2, 0], [3, 1], [4, 2], [4, 3], [4, 4]])
        warp = path_warp(path, np.arange(5.0), np.arange(5.0))
        np.testing.assert_allclose(warp.reference_s, [1.0, 3.0, 4.0])
        np.testing.assert_allclose(warp.other_s, [0.0, 1.0, 3.0])

    @pytest.mark.parametrize(
        "path",
        [[[0, 0], [1, -1]], [[0, 0], [9, 1]], [0, 1], np.zeros((0, 2), int), [[0.0, 1.0]]],
    )
    def test_refusals(self, path):
        with pytest.raises(ParameterError):
            path_warp(path, np.arange(5.0), np.arange(5.0))


def sequence(length, **columns):
    return AlignedSequence(
        {name: np.full((length, width), length, np.float32) for name, width in columns.items()},
        np.arange(length) / 50,
        {name: np.ones(length, bool) for name in columns},
    )


class TestCollate:
    def test_padding_and_missing_streams(self):
        batch = collate([sequence(3, audio=2, lips=4), sequence(5, audio=2)])
        assert batch.streams["lips"].shape == (2, 5, 4)
        assert batch.lengths.tolist() == [3, 5]
        assert batch.masks["audio"].sum(1).tolist() == [3, 5]
        assert batch.present["lips"].tolist() == [True, False]
        assert batch.streams["audio"][0, :, 0].tolist() == [3, 3, 3, 0, 0]
        assert batch.streams["audio"].dtype == torch.float32

    def test_a_stream_that_no_clip_has(self):
        batch = collate([sequence(3, audio=2)], dims={"audio": 2, "lips": 7})
        assert batch.streams["lips"].shape == (1, 3, 7)
        assert not batch.present["lips"].any()

    def test_a_stream_of_masked_rows_is_absent(self):
        clip = sequence(3, audio=2)
        clip.masks["audio"][:] = False
        assert not collate([clip]).present["audio"].any()

    def test_moving(self):
        batch = collate([sequence(3, audio=2)]).to("meta")
        assert batch.streams["audio"].device.type == batch.lengths.device.type == "meta"

    def test_refusals(self):
        with pytest.raises(ParameterError, match="nothing to collate"):
            collate([])
        with pytest.raises(ParameterError, match=r"'audio' has shape \(4, 3\), not \(T, 2\)"):
            collate([sequence(3, audio=2), sequence(4, audio=3)])


class TestBuckets:
    lengths = np.random.default_rng(0).integers(1, 400, 203)

    @pytest.mark.parametrize("seed", [None, 0, 1])
    def test_every_clip_once(self, seed):
        batches = bucket_batches(self.lengths, 16, rows_per_batch=2000, seed=seed)
        assert sorted(np.concatenate(batches)) == list(range(203))
        for batch in batches:
            padded = len(batch) * self.lengths[batch].max()
            assert len(batch) <= 16
            assert padded <= 2000 or len(batch) == 1

    def test_the_seed_decides(self):
        def flat(seed):
            return np.concatenate(bucket_batches(self.lengths, 16, seed=seed)).tolist()

        assert flat(3) == flat(3)
        assert flat(3) != flat(4)

    def test_little_is_padding(self):
        def padding(batches):
            padded = sum(len(batch) * self.lengths[batch].max() for batch in batches)
            return padded / self.lengths.sum() - 1

        shuffled = np.random.default_rng(1).permutation(203)
        unsorted = np.split(shuffled, range(16, 203, 16))
        assert padding(bucket_batches(self.lengths, 16, seed=0)) < 0.1 * padding(unsorted)

    @pytest.mark.parametrize(
        ("lengths", "limits"),
        [
            ([3, 0], {"batch_size": 2}),
            ([3.5], {"batch_size": 2}),
            ([3], {"batch_size": 0}),
            ([3], {"batch_size": 1, "rows_per_batch": 0}),
        ],
    )
    def test_refusals(self, lengths, limits):
        with pytest.raises(ParameterError):
            bucket_batches(lengths, **limits)

    def test_nothing_gives_no_batch(self):
        assert bucket_batches([], 4) == []
