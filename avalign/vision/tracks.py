"""Faces followed from picture to picture."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from avalign.vision.detection import SAME_FACE_OVERLAP, FaceFinder, overlap
from avalign.vision.facemesh import Detection, FaceMesh, Region
from avalign.vision.shots import CERTAIN_CUT, CutFinder, difference, thumbnail

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from avalign.media import Frame

__all__ = ["FaceTracker", "Span", "Track", "join_spans"]

# Seconds between two searches of the whole picture for faces: while every face
# is being followed, while there is none, and just after one was lost.
SEARCH_FOLLOWING_S = 1.0
SEARCH_EMPTY_S = 0.25
SEARCH_LOST_S = 0.1
LOST_FOR_S = 1.0

# The mesh is fitted again and again to a new face until its region, which
# comes from the last fit, has settled.
SETTLING_FITS = 3

# Faces whose mesh is smaller, in pixels of the analysed picture, are left out.
SMALLEST_FACE = 24.0

# A face may not jump in one step: less overlap with its last box is a lost face.
LEAST_STEP_OVERLAP = 0.2

# Overlap at which a face that reappears is the same one: soon after in the same
# shot, and otherwise (across a cut, or much later), where it must be clearly
# the same place and size.
REJOIN_OVERLAP = 0.3
REJOIN_WITHIN_S = 2.0
RETURN_OVERLAP = 0.5

# Where the best score that the detectors gave a face is below, it is not a
# face: dogs score 0.75, people 0.85 and more.
BELIEVED_SCORE = 0.8


@dataclass(slots=True)
class Track:
    """One face over some pictures, not necessarily without gaps.

    Parameters
    ----------
    rows : list of int
        Numbers of the pictures, increasing.
    landmarks : list of ndarray of shape (P, 3), float32
        Its mesh in each of them, in pixels of the analysed picture.
    score : float
        The best score that a detector gave it.
    """

    rows: list[int] = field(default_factory=list)
    landmarks: list[NDArray[np.float32]] = field(default_factory=list)
    score: float = 0.0

    @property
    def first_box(self) -> NDArray[np.float32]:
        """Left, top, right and bottom where the face appears."""
        return box_of(self.landmarks[0])

    @property
    def last_box(self) -> NDArray[np.float32]:
        """Left, top, right and bottom where the face was seen last."""
        return box_of(self.landmarks[-1])

    def append(self, row: int, landmarks: NDArray[np.float32]) -> None:
        """Add the next picture."""
        self.rows.append(row)
        self.landmarks.append(landmarks)


@dataclass(slots=True)
class Span:
    """What was seen in successive pictures.

    Parameters
    ----------
    times_s : list of float
        Presentation time of each picture.
    tracks : list of Track
        The faces; `Track.rows` counts from the first picture of the span.
    cuts : list of int
        Pictures before which there is a cut.
    size : tuple of int
        Width and height of the analysed pictures.
    ends : tuple of ndarray
        Thumbnails of the first and of the last picture.
    """

    times_s: list[float]
    tracks: list[Track]
    cuts: list[int]
    size: tuple[int, int]
    ends: tuple[NDArray[np.float32], NDArray[np.float32]]


class FaceTracker:
    """Follows the faces of successive pictures; one object per thread.

    Parameters
    ----------
    max_faces : int
        Most faces followed at a time; larger ones go first.
    """

    def __init__(self, max_faces: int) -> None:
        self._max_faces = max_faces
        with ExitStack() as stack:
            self._mesh = stack.enter_context(FaceMesh())
            self._finder = stack.enter_context(FaceFinder())
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def follow(self, frames: Iterable[Frame]) -> Span | None:
        """Follow all faces through `frames`, starting from nothing.

        Parameters
        ----------
        frames : iterable of Frame
            Successive pictures of one size.

        Returns
        -------
        Span or None
            None if there was no picture.
        """
        times_s: list[float] = []
        cuts: list[int] = []
        ended: list[Track] = []
        active: list[Track] = []
        cut_finder = CutFinder()
        searched_s = lost_s = -np.inf
        size = (0, 0)
        first_thumb = thumb = None
        for row, frame in enumerate(frames):
            image, now_s = frame.image, frame.time_s
            times_s.append(now_s)
            thumb = thumbnail(image)
            if first_thumb is None:
                first_thumb, size = thumb, (image.shape[1], image.shape[0])
            going_on = active
            if cut_finder.begins_shot(thumb):
                cuts.append(row)
                active = []
            else:
                active = self._advance(active, image, row)
            if len(active) < len(going_on):
                ended += [track for track in going_on if not any(track is a for a in active)]
                lost_s, searched_s = now_s, -np.inf
            if now_s - lost_s < LOST_FOR_S:
                period_s = SEARCH_LOST_S
            else:
                period_s = SEARCH_FOLLOWING_S if active else SEARCH_EMPTY_S
            if now_s - searched_s >= period_s:
                searched_s = now_s
                ended += self._search(active, image, row)
        if first_thumb is None or thumb is None:
            return None
        return Span(times_s, ended + active, cuts, size, (first_thumb, thumb))

    def _advance(self, active: list[Track], image: NDArray[np.uint8], row: int) -> list[Track]:
        """Take every face one picture on; return those still there."""
        kept: list[Track] = []
        for track in active:  # oldest first, so that of two on one face the older stays
            landmarks = self._mesh.fit(image, Region.around(track.landmarks[-1]))
            if landmarks is None or not _plausible(landmarks):
                continue
            box = box_of(landmarks)
            if overlap(box, track.last_box) < LEAST_STEP_OVERLAP:
                continue
            if any(overlap(box, other.last_box) > SAME_FACE_OVERLAP for other in kept):
                continue
            track.append(row, landmarks)
            kept.append(track)
        return kept

    def _search(self, active: list[Track], image: NDArray[np.uint8], row: int) -> list[Track]:
        """Add faces that are not followed yet to `active`; return those displaced."""
        displaced = []
        for detection in self._finder.find(image):
            known = max(
                active, key=lambda track: overlap(detection.box, track.last_box), default=None
            )
            if known is not None and overlap(detection.box, known.last_box) > SAME_FACE_OVERLAP:
                known.score = max(known.score, detection.score)
                continue
            landmarks = self._settle(image, detection)
            if landmarks is None:
                continue
            box = box_of(landmarks)
            if any(overlap(box, track.last_box) > SAME_FACE_OVERLAP for track in active):
                continue
            if len(active) >= self._max_faces:
                smallest = min(active, key=lambda track: _extent(track.last_box))
                if _extent(box) < 1.5 * _extent(smallest.last_box):
                    continue
                active[:] = [track for track in active if track is not smallest]
                displaced.append(smallest)
            track = Track(score=detection.score)
            track.append(row, landmarks)
            active.append(track)
        return displaced

    def _settle(
        self, image: NDArray[np.uint8], detection: Detection
    ) -> NDArray[np.float32] | None:
        region = detection.region
        landmarks = None
        for _ in range(SETTLING_FITS):
            landmarks = self._mesh.fit(image, region)
            if landmarks is None or not _plausible(landmarks):
                return None
            region = Region.around(landmarks)
        return landmarks


def box_of(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return left, top, right and bottom of a mesh (..., P, 3)."""
    flat = landmarks[..., :2]
    return np.concatenate([flat.min(axis=-2), flat.max(axis=-2)], axis=-1)


def _extent(box: NDArray[np.float32]) -> float:
    return float(max(box[2] - box[0], box[3] - box[1]))


def _plausible(landmarks: NDArray[np.float32]) -> bool:
    return _extent(box_of(landmarks)) >= SMALLEST_FACE


def join_spans(spans: list[Span]) -> tuple[list[float], list[int], list[Track]]:
    """Put successive spans together, and the tracks of each face.

    Parameters
    ----------
    spans : list of Span
        In order of time, all of one picture size.

    Returns
    -------
    times_s : list of float
        Presentation time of each picture.
    cuts : list of int
        Pictures before which there is a cut.
    faces : list of Track
        One track per face that the detectors believed in.
    """
    times_s: list[float] = []
    cuts: list[int] = []
    pieces: list[Track] = []
    previous: Span | None = None
    for span in spans:
        offset = len(times_s)
        if previous is not None and difference(previous.ends[1], span.ends[0]) > CERTAIN_CUT:
            cuts.append(offset)
        cuts += [offset + row for row in span.cuts]
        for track in span.tracks:
            rows = [offset + row for row in track.rows]
            pieces.append(Track(rows, track.landmarks, track.score))
        times_s += span.times_s
        previous = span
    faces = _link(sorted(pieces, key=lambda track: track.rows[0]), times_s, cuts)
    return times_s, cuts, [face for face in faces if face.score >= BELIEVED_SCORE]


def _link(pieces: list[Track], times_s: list[float], cuts: list[int]) -> list[Track]:
    """Append each piece to the face it continues, or start a face with it."""
    shot = np.zeros(len(times_s), int)
    shot[cuts] = 1
    shot = shot.cumsum()
    faces: list[Track] = []
    for piece in pieces:
        start = piece.rows[0]
        best, best_margin = None, 0.0
        for face in faces:
            end = face.rows[-1]
            if end >= start:
                continue
            soon = shot[end] == shot[start] and times_s[start] - times_s[end] <= REJOIN_WITHIN_S
            needed = REJOIN_OVERLAP if soon else RETURN_OVERLAP
            margin = overlap(face.last_box, piece.first_box) - needed
            if margin > best_margin:
                best, best_margin = face, margin
        if best is None:
            faces.append(piece)
        else:
            best.rows += piece.rows
            best.landmarks += piece.landmarks
            best.score = max(best.score, piece.score)
    return faces
