"""Plots and the annotated video: what they show, and what they refuse."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avalign.errors import MediaError, MissingDependencyError, ParameterError
from avalign.media import iter_frames, probe, read_audio
from avalign.media.writing.video_writer import open_video_writer
from avalign.plots import plot_reliability, plot_sync, write_overlay
from avalign.plots import sync as plot
from avalign.plots.figures import new_figure
from avalign.plots.signals import (
    busiest_span_s,
    choose_face,
    lip_opening,
    running_agreement,
    smooth,
    unit_range,
)
from avalign.reports import SyncReport
from avalign.types import (
    TOLERANCES,
    Alignment,
    AudioStream,
    ClipStreams,
    FaceAlignment,
    FeatureStream,
    LagCurve,
    LipStream,
)

FRAME_RATE, DURATION_S, SIZE = 25.0, 4.0, (160, 120)
PINK = np.array([240, 80, 120])


def lips_of(
    opening: np.ndarray, *, track_id: int = 0, centre: tuple[float, float] = (80, 60)
) -> LipStream:
    """A mouth whose inner lip is so far open, 20 pixels wide, at a place in the picture."""
    n = len(opening)
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    # From one corner along the lower lip to the other, as the real numbering goes.
    ring = np.stack([-np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    points = np.zeros((n, 41, 3), np.float32)
    points[:, :20] = ring * [0.4, 0.3, 0]
    points[:, 20:40] = ring * [0.3, 0, 0] + np.einsum(
        "t,px->tpx", opening / 2, ring * [0, 1, 0]
    )
    return LipStream(
        values=points.reshape(n, -1),
        times_s=np.arange(n) / FRAME_RATE,
        valid=np.ones(n, bool),
        kind="lips",
        landmarks=(points * 25 + np.array([*centre, 0])).astype(np.float32),
        head_pose=np.zeros((n, 3), np.float32),
        boxes=np.tile(np.float32([0.3, 0.2, 0.7, 0.8]), (n, 1)),
        track_id=track_id,
        picture_size=SIZE,
    )


def movement(times_s: np.ndarray) -> np.ndarray:
    """Something that never repeats, from 0 to 1."""
    return 0.5 + 0.25 * np.sin(9.1 * times_s) + 0.25 * np.sin(14.3 * times_s**1.1)


def streams_of(lag_s: float = 0.0, *, faces: int = 1) -> ClipStreams:
    sound_s = np.arange(round(DURATION_S * 100)) / 100
    loud = 100 * movement(np.maximum(sound_s - lag_s, 0))
    values = np.concatenate([loud[:, None], np.zeros((len(loud), 12))], axis=1).astype(
        np.float32
    )
    ok = np.ones(len(loud), bool)
    seen_s = np.arange(round(DURATION_S * FRAME_RATE)) / FRAME_RATE
    return ClipStreams(
        mfcc=FeatureStream(values, sound_s, ok, "mfcc"),
        speech=FeatureStream(np.ones((len(loud), 1), np.float32), sound_s, ok, "speech"),
        lips=tuple(lips_of(0.3 * movement(seen_s), track_id=i) for i in range(faces)),
        source="talk.mp4",
        duration_s=DURATION_S,
        frame_rate=FRAME_RATE,
    )


def alignment_of(lag_s: float) -> Alignment:
    lags_s = np.arange(-1, 1.001, 0.01)
    score = 20 * np.exp(-(((lags_s - lag_s) / 0.1) ** 2))
    posterior = np.exp(score) / np.exp(score).sum()
    return Alignment(
        audio_lag_s=lag_s,
        interval_s=(lag_s - 0.01, lag_s + 0.01),
        confidence=0.97,
        at_edge=False,
        path=np.zeros((1, 2), np.int32),
        curve=LagCurve(lags_s, score, posterior),
        agreement=FeatureStream(
            np.ones((50, 1), np.float32), np.arange(50) / 5, np.ones(50, bool), "agreement"
        ),
        speech_s=3.0,
    )


def report_of(lag_s: float = 0.16, *, faces: int = 1, **changes: object) -> SyncReport:
    alignment = alignment_of(lag_s)
    found = tuple(
        FaceAlignment(i, "left" if i else "centre", (0.3, 0.2, 0.7, 0.8), 1.0, alignment)
        for i in range(faces)
    )
    report = SyncReport(
        "talk.mp4", "ok", "itu", alignment=alignment, face=0, verdict="noticeable", faces=found
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def image_of(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)


@pytest.fixture
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("no_warnings")
def test_a_plot_marks_the_lag_it_was_given(tmp_path: Path) -> None:
    for lag_s, name in ((-0.5, "early.png"), (0.5, "late.png")):
        plot_sync(report_of(lag_s), streams_of(lag_s), tmp_path / name)
    early, late = (image_of(tmp_path / name) for name in ("early.png", "late.png"))
    height, width = early.shape[:2]
    assert width > 1000
    # The interval is the one amber stripe of the upper panel.
    panel = slice(int(0.2 * height), int(0.4 * height))
    for image, fraction in ((early, 0.27), (late, 0.73)):
        red, green, blue = np.moveaxis(image[panel, :, :3], -1, 0)
        amber = (red > 0.9) & (green > 0.7) & (green < 0.9) & (blue < 0.65)
        columns = np.flatnonzero(amber.any(axis=0))
        assert columns.mean() / width == pytest.approx(fraction, abs=0.02)


@pytest.mark.parametrize("lag_s", [-0.06, 0.01, 0.16])
def test_the_lag_is_written_clear_of_the_tolerance(tmp_path: Path, lag_s: float) -> None:
    plot_sync(report_of(lag_s), streams_of(lag_s), tmp_path / "lag.png")
    image = image_of(tmp_path / "lag.png")[..., :3]
    panel = image[int(0.175 * len(image)) : int(0.46 * len(image))]
    red, green, blue = np.moveaxis(panel, -1, 0)
    band = (green > red + 0.03) & (green > blue + 0.02)
    rows, columns = np.flatnonzero(band.any(axis=1)), np.flatnonzero(band.any(axis=0))
    # The curves end below the top fifth, where the lag is written.
    top = panel[rows[0] : rows[0] + len(rows) // 6]
    dark = (top.max(axis=2) < 0.5).sum(axis=0)
    line = dark > len(top) // 2
    assert dark[~line].sum() > 100
    assert dark[columns[0] : columns[-1]][~line[columns[0] : columns[-1]]].sum() < 20


@pytest.mark.slow
@pytest.mark.usefixtures("no_warnings")
@pytest.mark.parametrize(
    "case",
    [
        "no answer",
        "no face",
        "no sound",
        "nothing",
        "odd name",
        "one picture",
        "flat curve",
        "gaps",
    ],
)
def test_every_kind_of_answer_can_be_drawn(tmp_path: Path, case: str) -> None:
    report, streams = report_of(), streams_of()
    if case == "no answer":
        report = report_of(
            alignment=None, status="no_answer", reason="too short " * 30, face=None
        )
    elif case == "no face":
        streams = replace(streams, lips=())
    elif case == "no sound":
        empty = FeatureStream(
            np.zeros((0, 13), np.float32), np.zeros(0), np.zeros(0, bool), "mfcc"
        )
        streams = replace(streams, mfcc=empty, speech=empty)
    elif case == "nothing":
        report = SyncReport("talk.mp4", "no_answer", "40/60", reason="no face")
        streams = replace(streams, lips=())
    elif case == "odd name":
        report = report_of(file="/somewhere/$\\frac{1}$_音声_" + "x" * 300 + ".mp4")
    elif case == "one picture":
        streams = replace(streams, lips=(lips_of(np.array([0.1])),))
    elif case == "flat curve":
        zeros = np.zeros(3)
        curve = LagCurve(np.array([-1.0, 0.0, 1.0]), zeros, zeros)
        report = report_of(alignment=replace(alignment_of(0.0), curve=curve))
    else:
        lips = streams.lips[0]
        valid = (lips.times_s * 3).astype(int) % 2 == 0
        values = np.where(valid[:, None], lips.values, np.nan)
        streams = replace(streams, lips=(replace(lips, valid=valid, values=values),))
    plot_sync(report, streams, tmp_path / "plot.png")
    assert image_of(tmp_path / "plot.png").std() > 0.01


def test_plots_repeat_to_the_byte(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        plot_sync(report_of(), streams_of(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_plots_replace_nothing_unless_asked(tmp_path: Path) -> None:
    target = tmp_path / "plot.png"
    target.write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        plot_sync(report_of(), streams_of(), target)
    assert target.read_bytes() == b"mine"
    plot_sync(report_of(), streams_of(), target, overwrite=True)
    assert target.read_bytes() != b"mine"
    assert list(tmp_path.iterdir()) == [target]


def test_plots_without_matplotlib_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'avalign\[report\]'"):
        plot_sync(report_of(), streams_of(), tmp_path / "plot.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_warnings")
def test_reliability_draws_its_points_where_they_belong(tmp_path: Path) -> None:
    plot_reliability([0.25, 0.75], [0.75, 0.25], [10, 10], tmp_path / "r.png")
    image = image_of(tmp_path / "r.png")[:, :, :3]
    blue = (np.abs(image - np.array([0x2F, 0x66, 0x90]) / 255) < 0.02).all(axis=2)
    rows, columns = np.nonzero(blue)
    left, right = columns < columns.mean(), columns > columns.mean()
    assert rows[left].mean() < rows[right].mean()  # low confidence, but often right


@pytest.mark.parametrize(
    "bins",
    [([0.5], [0.5, 0.6], [1, 2]), ([], [], []), ([1.5], [0.5], [3]), ([0.5], [0.5], [0])],
)
def test_impossible_bins_are_refused(tmp_path: Path, bins: tuple[list[float], ...]) -> None:
    with pytest.raises(ParameterError, match="cannot be drawn"):
        plot_reliability(*bins, tmp_path / "r.png")


def test_lip_opening_is_the_height_of_the_inner_lip() -> None:
    opening = np.array([0.0, 0.1, 0.3])
    lips = lips_of(opening)
    measured = lip_opening(replace(lips, valid=np.array([True, True, False])))
    # Three pairs around the middle: the ends of an ellipse are a little lower.
    fraction = (1 + 2 * np.sin(2 * np.pi * 4 / 20)) / 3
    np.testing.assert_allclose(measured[:2], fraction * opening[:2], atol=1e-6)
    assert np.isnan(measured[2])


def test_smoothing_keeps_lines_and_gaps() -> None:
    times_s = np.arange(100) / 25
    line = 2 * times_s
    line[50:60] = np.nan
    smoothed = smooth(line, times_s, 0.2)
    np.testing.assert_allclose(smoothed[5:45], line[5:45])
    assert np.isnan(smoothed[50:60]).all()
    assert np.isfinite(smoothed[60:]).all()
    assert len(smooth(line[:3], times_s[:3], 10.0)) == 3
    constant = np.full(100, 4.0)
    np.testing.assert_allclose(smooth(constant, times_s, 1.0), constant)


def test_unit_range_stays_within_zero_and_one() -> None:
    scaled = unit_range(np.array([np.nan, -5.0, 0.0, 5.0, 100.0]))
    assert np.isnan(scaled[0])
    assert scaled[1] == 0
    assert scaled[-1] == 1
    assert np.isnan(unit_range(np.full(3, np.nan))).all()
    np.testing.assert_array_equal(unit_range(np.ones(3)), np.zeros(3))


def test_the_busiest_span_is_found() -> None:
    times_s = np.arange(1000) / 25
    opening = np.where((times_s >= 20) & (times_s < 24), np.sin(20 * times_s), 0.0)
    start_s, end_s = busiest_span_s(lips_of(opening), opening, 5.0)
    assert end_s - start_s == pytest.approx(5.0)
    assert start_s <= 20.05
    assert end_s >= 23.95
    assert busiest_span_s(lips_of(opening[:50]), opening[:50], 5.0) == (0.0, 49 / 25)


def test_agreement_runs_along_with_the_evidence() -> None:
    values = np.where(np.arange(100) < 50, 1.0, -1.0).astype(np.float32)[:, None]
    seen = np.arange(100) < 90
    stream = FeatureStream(values, np.arange(100) / 5, seen, "agreement")
    times_s, probability = running_agreement(replace(alignment_of(0.1), agreement=stream))
    assert (probability[times_s < 9] > 0.9).all()
    assert (probability[(times_s > 11) & (times_s < 17)] < 0.1).all()
    assert np.isnan(probability[~seen][-1])


def test_no_lag_is_told_of_a_peak_at_the_edge_or_of_lips_without_speech() -> None:
    for confidence, told in ((0.0, False), (0.3, True)):
        axes = new_figure(4, 2).add_subplot()
        found = replace(alignment_of(0.1), confidence=confidence)
        plot._draw_curve(axes, found, TOLERANCES["itu"])
        words = [text.get_text() for text in axes.texts]
        assert ("+100 ms" in words) is told
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert ("95 % interval" in labels) is told


def test_the_matching_face_is_shown() -> None:
    streams = streams_of(faces=3)
    assert choose_face(report_of(face=2), streams) is streams.lips[2]
    unsure = report_of(faces=3, alignment=None, face=None)
    assert choose_face(unsure, streams) is streams.lips[0]
    assert choose_face(unsure, replace(streams, lips=())) is None


def write_video(path: Path, *, sound: bool = True) -> None:
    """Grey pictures at uneven times from 0.2 s on; a click at 1.5 s."""
    samples = np.zeros(round(DURATION_S * 48_000), np.float32)
    samples[72_000] = 1.0
    with open_video_writer(
        path, size=SIZE, frame_rate=FRAME_RATE, sample_rate_hz=48_000 if sound else None
    ) as writer:
        if sound:
            writer.write_audio(AudioStream(samples, 48_000, 0.0))
        for i in range(round(DURATION_S * FRAME_RATE)):
            image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            writer.write_frame(image, 0.2 + i / FRAME_RATE + 0.01 * (i % 2))


@pytest.mark.slow
def test_the_overlay_keeps_pictures_and_sound_at_their_times(tmp_path: Path) -> None:
    source, target = tmp_path / "talk.mp4", tmp_path / "overlay.mp4"
    write_video(source)
    fractions: list[float] = []
    write_overlay(report_of(), streams_of(), source, target, progress=fractions.append)
    before, after = ([f.time_s for f in iter_frames(path)] for path in (source, target))
    np.testing.assert_allclose(after, before, atol=1e-4)
    audio = read_audio(target, rate_hz=48_000)
    click_s = audio.start_s + np.argmax(np.abs(audio.samples)) / 48_000
    assert click_s == pytest.approx(1.5, abs=0.002)
    clip = probe(target)
    assert clip.video_tracks[0].codec == "h264"
    assert clip.audio_tracks[0].codec == "aac"
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.slow
def test_the_overlay_draws_the_lips_where_they_are(tmp_path: Path) -> None:
    source, target = tmp_path / "talk.mp4", tmp_path / "overlay.mp4"
    write_video(source)
    lips = lips_of(np.full(150, 0.2), centre=(120, 40))
    streams = replace(streams_of(), lips=(lips,))
    write_overlay(report_of(), streams, source, target)
    image = next(iter(iter_frames(target))).image.astype(int)
    zoom = image.shape[1] / SIZE[0]
    # Only the mouth: the corners of the box lie outside of this part.
    part = image[int(30 * zoom) : int(50 * zoom), int(105 * zoom) : int(135 * zoom)]
    pink = (np.abs(part - PINK) < 70).all(axis=2)
    rows, columns = np.nonzero(pink)
    assert len(rows) > 50
    assert columns.mean() / zoom + 105 == pytest.approx(120, abs=1.5)
    assert rows.mean() / zoom + 30 == pytest.approx(40, abs=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["no sound", "no face", "no answer"])
def test_every_kind_of_answer_can_be_overlaid(tmp_path: Path, case: str) -> None:
    source, target = tmp_path / "talk.mp4", tmp_path / "overlay.mp4"
    write_video(source, sound=case != "no sound")
    report, streams = report_of(faces=2), streams_of(faces=2)
    if case == "no face":
        report, streams = SyncReport("t", "no_answer", "itu"), replace(streams, lips=())
    elif case == "no answer":
        report = report_of(alignment=None, face=None)
    write_overlay(report, streams, source, target)
    clip = probe(target)
    assert len(clip.audio_tracks) == (0 if case == "no sound" else 1)
    assert sum(1 for _ in iter_frames(target)) == 100


def test_the_overlay_spares_what_is_there(tmp_path: Path) -> None:
    source, target = tmp_path / "talk.mp4", tmp_path / "overlay.mp4"
    write_video(source)
    original = source.read_bytes()
    with pytest.raises(ParameterError, match="the video itself"):
        write_overlay(report_of(), streams_of(), source, source, overwrite=True)
    target.write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        write_overlay(report_of(), streams_of(), source, target)
    assert target.read_bytes() == b"mine"
    with pytest.raises(ParameterError, match=r"\.mp4"):
        write_overlay(report_of(), streams_of(), source, tmp_path / "overlay.avi")
    assert source.read_bytes() == original
    assert sorted(p.name for p in tmp_path.iterdir()) == ["overlay.mp4", "talk.mp4"]


def test_an_interrupted_overlay_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "talk.mp4"
    write_video(source)

    def interrupt(fraction: float) -> None:
        if fraction > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_overlay(
            report_of(), streams_of(), source, tmp_path / "overlay.mp4", progress=interrupt
        )
    assert [p.name for p in tmp_path.iterdir()] == ["talk.mp4"]


@pytest.mark.parametrize(
    "bad", [{"size": (161, 120)}, {"size": (0, 0)}, {"frame_rate": 0.0}, {"frame_rate": np.nan}]
)
def test_impossible_videos_are_refused(tmp_path: Path, bad: dict[str, object]) -> None:
    settings = {"size": SIZE, "frame_rate": FRAME_RATE} | bad
    with (
        pytest.raises(ParameterError),
        open_video_writer(tmp_path / "v.mp4", **settings),  # type: ignore[arg-type]
    ):
        pass
    assert list(tmp_path.iterdir()) == []
