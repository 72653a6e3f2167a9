"""A face that is always there, and an aligner that knows when the clips flash and click."""

import numpy as np
from media import Recipe, make_clip

from avalign.align import ClipAlignment
from avalign.types import Alignment, FaceAlignment, FeatureStream, LagCurve, LipStream

FLASHES_S = (1.0, 2.0)


def lips(track_id=0, *, duration_s=3.0, rate_hz=25.0):
    """A face that does nothing, for as long as the clip lasts."""
    rows = round(duration_s * rate_hz)
    return LipStream(
        values=np.zeros((rows, 123), np.float32),
        times_s=np.arange(rows) / rate_hz,
        valid=np.ones(rows, bool),
        kind="lips",
        landmarks=np.zeros((rows, 41, 3), np.float32),
        head_pose=np.zeros((rows, 3), np.float32),
        boxes=np.tile(np.float32([0.4, 0.2, 0.6, 0.7]), (rows, 1)),
        track_id=track_id,
        picture_size=(96, 64),
    )


def alignment(lag_s, *, confidence=0.97, at_edge=False, half_width_s=0.009, score=0.0):
    lags_s = np.linspace(-1, 1, 201)
    # A bell as wide as the interval says, and next to nothing far from it.
    bell = np.maximum(-0.5 * ((lags_s - lag_s) / (half_width_s / 1.96)) ** 2, -20.0)
    return Alignment(
        audio_lag_s=lag_s,
        interval_s=(lag_s - half_width_s, lag_s + half_width_s),
        confidence=confidence,
        at_edge=at_edge,
        path=np.zeros((1, 2), np.int32),
        curve=LagCurve(lags_s, score + bell, np.full(201, 1 / 201)),
        agreement=FeatureStream(
            np.ones((10, 1), np.float32), np.arange(10) / 5, np.ones(10, bool), "agreement"
        ),
        speech_s=1.5,
    )


def face(track_id=0, found=None, *, place="centre", coverage=0.98):
    return FaceAlignment(track_id, place, (0.4, 0.2, 0.6, 0.7), coverage, found)


def answer(lag_s, *, reason=None, change=None, quarters_s=(), **details):
    """What `align_streams` returns for one face at this lag."""
    found = alignment(lag_s, **details)
    return ClipAlignment((face(0, found),), 0, found, reason, change, quarters_s)


def plant(monkeypatch, aligner=None, faces=None):
    """Put the planted face and the planted aligner in the place of the real ones."""
    faces = (lips(),) if faces is None else faces
    monkeypatch.setattr("avalign.vision.lip_streams", lambda path, **_: faces)
    monkeypatch.setattr("avalign.align.align_streams", aligner or align_clicks)


def late(path, lag_s=0.2, **details):
    """A clip whose clicks come `lag_s` after the flashes at 1 and 2 s."""
    return make_clip(path, Recipe(events_s=(1.0 + lag_s, 2.0 + lag_s), **details))


def align_clicks(streams, *, max_lag_s=1.0, flashes_s=FLASHES_S):
    """Measure how late the clicks are against the flashes, by their loudness."""
    loudness = streams.mfcc.values[:, 0]
    loud = loudness > (loudness.max() + np.median(loudness)) / 2
    rises = streams.mfcc.times_s[loud & ~np.r_[False, loud[:-1]]]
    lag_s = float(np.median(rises[: len(flashes_s)] - np.array(flashes_s[: len(rises)])))
    return answer(lag_s)
