"""A video file to lip streams, with the work spread over the cores."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.media import Frame, as_clip, check_video_track, iter_frames
from avalign.processes import cores
from avalign.types import ANALYSED_SIDE, eye_distance
from avalign.vision.lips import lip_stream
from avalign.vision.tracker import FaceTracker
from avalign.vision.tracks import Span, join_spans

if TYPE_CHECKING:
    from pathlib import Path

    from avalign.types import LipStream, MediaClip

# A clip is analysed in independent spans of about this length. They depend on
# the file alone, so that the result does not depend on the number of cores.
SPAN_S = 10.0
# Shorter clips are one span: every span decodes again from the key picture before it.
SHORTEST_SPLIT_S = 6.0

# Faces seen for less are chance or passers-by.
SHORTEST_FACE_S = 0.3

PROGRESS_EVERY_S = 0.1

# Pictures in a row to look at, how often, and how far apart, where no face was found.
LOOK_FRAMES, LOOKS, LOOK_EVERY = 3, 5, 40


def lip_streams(
    path: str | os.PathLike[str] | MediaClip,
    *,
    track: int = 0,
    max_faces: int = 4,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[LipStream, ...]:
    """Follow the lips of every face in a video.

    Parameters
    ----------
    path : str, PathLike or MediaClip
        A local video file, or what `probe` told of it.
    track : int
        Position among the picture tracks, from 0.
    max_faces : int, default 4
        Most faces to follow at a time and to return.
    jobs : int, optional
        Threads to work with; all cores if not given. The result is the same.
    progress : callable, optional
        Called now and then, from the calling thread, with the fraction done.

    Returns
    -------
    tuple of LipStream
        One per face, largest (weighted by how long it is seen) first, each with
        a row for every picture of the clip; empty if there is no face. Where a
        row is not valid, ``values`` is 0, and ``landmarks``, ``head_pose`` and
        ``boxes`` are NaN.

    Raises
    ------
    MediaError
        The file cannot be read.
    NoFaceError
        The file has no picture track.
    MissingDependencyError
        MediaPipe or a library it needs is not there.
    ParameterError
        `max_faces` or `jobs` is less than 1, or there is no such picture track.
    """
    if max_faces < 1:
        raise ParameterError(f"max_faces={max_faces} must be at least 1")
    if jobs is not None and jobs < 1:
        raise ParameterError(f"jobs={jobs} must be at least 1")
    clip = as_clip(path)
    check_video_track(clip.path, len(clip.video_tracks), track)
    video_track = clip.video_tracks[track]
    plan = _plan(video_track.start_s, video_track.duration_s or clip.duration_s or 0.0)
    spans = _PartPool(clip.path, track, max_faces, jobs or cores(), progress).analyse(plan)
    if not spans:
        return ()
    times_s, cuts, faces = join_spans(spans)
    clock = np.array(times_s, np.float64)
    period_s = float(np.median(np.diff(clock))) if len(clock) > 1 else 0.0
    streams = [
        lip_stream(face, clock, cuts, spans[0].size, (video_track.width, video_track.height))
        for face in faces
        if len(face.indices) * period_s >= SHORTEST_FACE_S
    ]
    streams.sort(key=_prominence, reverse=True)
    return tuple(
        replace(stream, track_id=number) for number, stream in enumerate(streams[:max_faces])
    )


def is_upside_down(path: str | os.PathLike[str], track: int = 0) -> bool:
    """Tell whether pictures in which no face was found show one once they are turned.

    Parameters
    ----------
    path : str or PathLike
        A local video file; a few pictures of its first seconds are looked at.
    track : int
        Which picture track, from 0.

    Returns
    -------
    bool
        Whether a face is there when they are turned by 180 degrees.
    """
    frames = iter_frames(path, track=track, max_side=ANALYSED_SIDE)
    looked_at = islice(frames, LOOKS * LOOK_EVERY)
    turned = (
        Frame(np.ascontiguousarray(frame.image[::-1, ::-1]), frame.time_s)
        for number, frame in enumerate(looked_at)
        if number % LOOK_EVERY < LOOK_FRAMES
    )
    with FaceTracker(1) as tracker:
        span = tracker.follow(turned)
    seen = max((len(track.indices) for track in span.tracks), default=0) if span else 0
    return seen >= LOOK_FRAMES


def _prominence(stream: LipStream) -> float:
    """Size times coverage."""
    return float(np.nansum(eye_distance(stream))) / len(stream)


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of the clip; None where the clip begins or ends."""

    start_s: float | None
    end_s: float | None
    length_s: float


def _plan(start_s: float, duration_s: float) -> list[_Part]:
    """Divide the clip into equal parts, an even number for the sake of two cores."""
    if duration_s < SHORTEST_SPLIT_S:
        return [_Part(None, None, duration_s)]
    count = 2 * math.ceil(duration_s / (2 * SPAN_S))
    length_s = duration_s / count
    edges: list[float | None] = [start_s + length_s * number for number in range(1, count)]
    return [
        _Part(begin, end, length_s)
        for begin, end in zip([None, *edges], [*edges, None], strict=True)
    ]


class _PartPool:
    """Threads that share the parts of one clip."""

    # MediaPipe and FFmpeg let go of Python's lock while they work, so threads use the cores
    # well and share the imports, which processes would not.

    def __init__(
        self,
        path: Path,
        track: int,
        max_faces: int,
        jobs: int,
        progress: Callable[[float], None] | None,
    ) -> None:
        self._path = path
        self._track = track
        self._max_faces = max_faces
        self._jobs = jobs
        self._progress = progress
        self._lock = threading.Lock()
        self._abandoned = threading.Event()  # an error, or an impatient user
        self._ended = threading.Event()  # no pictures in the parts from here on
        self._done_s: dict[int, float] = {}

    def analyse(self, plan: list[_Part]) -> list[Span]:
        """Return what each part shows, in order."""
        results = self._run_parts(plan)
        empty = next((number for number, span in enumerate(results) if span is None), None)
        if empty is not None:
            # The file promises more than it holds, or its clock pauses: read
            # the rest in one go.
            results[empty:] = self._run_parts([replace(plan[empty], end_s=None)])
        return [span for span in results if span is not None]

    def _run_parts(self, plan: list[_Part]) -> list[Span | None]:
        self._ended.clear()
        self._done_s.clear()
        total_s = sum(part.length_s for part in plan)
        workers = min(self._jobs, len(plan))
        threads = max(1, self._jobs // workers)
        queue = iter(enumerate(plan))
        results: list[Span | None] = [None] * len(plan)
        with ThreadPoolExecutor(workers, thread_name_prefix="avalign-lips") as pool:
            pending = {pool.submit(self._work, queue, results, threads) for _ in range(workers)}
            try:
                while pending:
                    done, pending = wait(pending, PROGRESS_EVERY_S, FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    if self._progress is not None and total_s > 0:
                        with self._lock:
                            done_s = sum(self._done_s.values())
                        self._progress(min(1.0, done_s / total_s))
            except BaseException:
                self._abandoned.set()
                self._ended.set()
                raise
        return results

    def _work(
        self, queue: Iterator[tuple[int, _Part]], results: list[Span | None], threads: int
    ) -> None:
        with FaceTracker(self._max_faces) as tracker:
            while not self._ended.is_set():
                with self._lock:
                    number, part = next(queue, (None, None))
                if number is None or part is None:
                    return
                results[number] = tracker.follow(self._frames(number, part, threads))
                if results[number] is None:
                    self._ended.set()
                with self._lock:
                    self._done_s[number] = part.length_s

    def _frames(self, number: int, part: _Part, threads: int) -> Iterator[Frame]:
        begin_s = None
        for frame in iter_frames(
            self._path,
            track=self._track,
            max_side=ANALYSED_SIDE,
            start_s=part.start_s,
            end_s=part.end_s,
            threads=threads,
        ):
            if self._abandoned.is_set():
                return
            begin_s = frame.time_s if begin_s is None else begin_s
            with self._lock:
                self._done_s[number] = min(part.length_s, frame.time_s - begin_s)
            yield frame
