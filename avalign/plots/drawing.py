"""Frames of the annotated video: faces with their lips, and a strip beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.plots.signals import (
    choose_face,
    lip_opening,
    loudness,
    running_agreement,
    smooth,
    unit_range,
)
from avalign.reports import SyncReport, best_guess
from avalign.types import ClipStreams, LipStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Smaller pictures are enlarged, or there would be no room for words.
SMALLEST_WIDTH = 640
STRIP_FRACTION = 0.2
STRIP_SPAN_S = 4.0
FONT = 0  # cv2.FONT_HERSHEY_SIMPLEX

# RGB, close to the colours of the plots.
LIPS, AUDIO, INK, FAINT, PAPER = (
    (240, 80, 120),
    (90, 150, 200),
    (235, 238, 242),
    (150, 158, 168),
    (24, 27, 32),
)
OTHER_FACE = (186, 193, 202)
OUTER, INNER = slice(0, 20), slice(20, 40)


class Canvas:
    """Draws one frame after the other: picture above, strip below."""

    def __init__(
        self, report: SyncReport, streams: ClipStreams, picture_size: tuple[int, int]
    ) -> None:
        width, height = picture_size
        self._zoom = max(1.0, SMALLEST_WIDTH / width)
        width, height = round(width * self._zoom), round(height * self._zoom)
        strip = max(72, min(round(STRIP_FRACTION * width), round(0.35 * height)))
        #: Width and height of what is drawn, both even.
        self.size = (width + width % 2, height + strip + (height + strip) % 2)
        self._frame_size = (width, height)
        self._faces = streams.lips
        self._names = {face.track_id: face.place for face in report.faces}
        self._speaker = report.face
        self._title = _title(report)
        self._strip = _Strip(report, streams, (self.size[0], self.size[1] - height))

    def draw(self, image: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        """Draw an RGB image uint8 [H, W, 3] at an instant: uint8 [H', W', 3], of `size`."""
        import cv2

        width, height = self._frame_size
        canvas = np.empty((self.size[1], self.size[0], 3), np.uint8)
        canvas[:] = PAPER
        if self._zoom != 1.0:
            image = cv2.resize(image, (width, height))
        canvas[:height, :width] = image
        for lips in self._faces:
            self._draw_face(canvas[:height, :width], lips, time_s)
        self._strip.draw(canvas[height:], time_s, self._title)
        return canvas

    def _draw_face(self, image: NDArray[np.uint8], lips: LipStream, time_s: float) -> None:
        import cv2

        row = _nearest(lips.times_s, time_s)
        if row is None or not lips.valid[row]:
            return
        speaks = lips.track_id == self._speaker
        colour = LIPS if speaks else OTHER_FACE
        width, height = self._frame_size
        scale = np.array([width, height]) / lips.picture_size
        left, top, right, bottom = np.round(
            lips.boxes[row] * [width, height, width, height]
        ).astype(int)
        thick = max(1, min(3, round((right - left) / 110))) if speaks else 1
        points = np.round(lips.landmarks[row, :, :2] * scale * 8).astype(np.int32)
        for ring in (OUTER, INNER):
            cv2.polylines(
                image, [points[ring]], True, colour, thick, lineType=cv2.LINE_AA, shift=3
            )
        _draw_corners(image, (left, top, right, bottom), colour, thick)
        name = self._names.get(lips.track_id, f"face {lips.track_id}")
        label = f"{name}: speaks" if speaks else name
        _draw_label(image, label, (left, top), max(0.45, width / 1500), colour)


class _Strip:
    """Lip opening over loudness around this instant, and how well both agree."""

    def __init__(self, report: SyncReport, streams: ClipStreams, size: tuple[int, int]) -> None:
        self._width, self._height = size
        self._scale = max(0.4, self._width / 1250)
        self._top = int(34 * self._scale) + 6
        guess = best_guess(report)
        alignment = report.alignment or (guess.alignment if guess else None)
        lips = choose_face(report, streams)
        mfcc = streams.mfcc
        self._audio = (
            mfcc.times_s,
            unit_range(smooth(loudness(mfcc), mfcc.times_s, 0.06)) ** 2,
        )
        self._lips = (np.empty(0), np.empty(0))
        self._score = (np.empty(0), np.empty(0))
        if alignment is not None and alignment.confidence > 0:
            self._score = running_agreement(alignment)
        if lips is not None:
            opening = unit_range(smooth(lip_opening(lips), lips.times_s, 0.06))
            self._lips = (lips.times_s, opening)

    def draw(self, strip: NDArray[np.uint8], time_s: float, title: str) -> None:
        import cv2

        _write(strip, title, (10, self._top - 8), self._scale, INK)
        self._draw_score(strip, time_s)
        height = len(strip) - self._top - 6
        columns = np.arange(self._width)
        times_s = time_s + (columns / self._width - 0.5) * STRIP_SPAN_S
        level, opening = (_at(times_s, *trace) for trace in (self._audio, self._lips))
        bottom = self._top + height
        filled = np.nan_to_num(level, nan=0.0) * height
        rows = np.arange(len(strip))[:, None]
        strip[(rows < bottom) & (rows >= bottom - filled)] = np.array(AUDIO, np.uint8) // 2
        known = np.isfinite(opening)
        heights = np.round((bottom - np.nan_to_num(opening) * height) * 8).astype(np.int32)
        curve = np.stack([columns * 8, heights], axis=1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(int), [0]])))
        thick = max(1, round(self._width / 500))
        for start, end in edges.reshape(-1, 2):
            cv2.polylines(
                strip, [curve[start:end]], False, LIPS, thick, lineType=cv2.LINE_AA, shift=3
            )
        middle = self._width // 2
        cv2.line(strip, (middle, self._top), (middle, bottom), INK, 1)

    def _draw_score(self, strip: NDArray[np.uint8], time_s: float) -> None:
        import cv2

        times_s, scores = self._score
        if len(times_s) == 0:
            return
        score = float(np.interp(time_s, times_s, scores, np.nan, np.nan))
        right, wide = self._width - 10, self._width // 5
        top, bottom = self._top - 8 - int(14 * self._scale), self._top - 8
        cv2.rectangle(strip, (right - wide, top), (right, bottom), FAINT, 1)
        if np.isfinite(score) and score > 0:
            end = right - wide + round(wide * score)
            cv2.rectangle(strip, (right - wide, top), (end, bottom), LIPS, -1)
        label = "agreement"
        (width, _), _ = cv2.getTextSize(label, FONT, self._scale * 0.8, 1)
        _write(strip, label, (right - wide - width - 10, bottom), self._scale * 0.8, FAINT)


def _title(report: SyncReport) -> str:
    if report.alignment is None:
        return "no reliable answer"
    lag_ms = round(1e3 * report.alignment.audio_lag_s)
    side = "on time" if lag_ms == 0 else f"{abs(lag_ms)} ms {'late' if lag_ms > 0 else 'early'}"
    hedge = "" if report.verdict else "unsure: "
    return f"{hedge}audio {side}, confidence {report.alignment.confidence:.2f}"


def _at(
    times_s: NDArray[np.float64], known_s: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    if len(known_s) == 0:
        return np.full(len(times_s), np.nan)
    return np.interp(times_s, known_s, values, np.nan, np.nan)


def _nearest(times_s: NDArray[np.float64], time_s: float) -> int | None:
    """Row closest in time; None where none is within a tenth of a second."""
    if len(times_s) == 0:
        return None
    right = int(np.searchsorted(times_s, time_s))
    rows = [row for row in (right - 1, right) if 0 <= row < len(times_s)]
    row = min(rows, key=lambda each: abs(times_s[each] - time_s))
    return row if abs(times_s[row] - time_s) <= 0.1 else None


def _draw_corners(
    image: NDArray[np.uint8], box: tuple[int, int, int, int], colour: Any, thick: int
) -> None:
    import cv2

    left, top, right, bottom = box
    long = max(4, (right - left) // 6)
    for x, to_x in ((left, long), (right, -long)):
        for y, to_y in ((top, long), (bottom, -long)):
            cv2.line(image, (x, y), (x + to_x, y), colour, thick, lineType=cv2.LINE_AA)
            cv2.line(image, (x, y), (x, y + to_y), colour, thick, lineType=cv2.LINE_AA)


def _draw_label(
    image: NDArray[np.uint8], text: str, corner: tuple[int, int], size: float, colour: Any
) -> None:
    """Write on a coloured plate that stands on the corner and stays in the picture."""
    import cv2

    pad = round(8 * size)
    (wide, high), _ = cv2.getTextSize(text, FONT, size, 1)
    left = min(max(0, corner[0]), max(0, image.shape[1] - wide - 2 * pad))
    bottom = max(high + 2 * pad, corner[1] - pad)
    cv2.rectangle(
        image, (left, bottom - high - 2 * pad), (left + wide + 2 * pad, bottom), colour, -1
    )
    _write(image, text, (left + pad, bottom - pad), size, PAPER)


def _write(
    image: NDArray[np.uint8], text: str, place: tuple[int, int], size: float, colour: Any
) -> None:
    import cv2

    cv2.putText(image, text, place, FONT, size, colour, max(1, round(1.6 * size)), cv2.LINE_AA)
