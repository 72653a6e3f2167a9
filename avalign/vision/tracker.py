"""Following faces from picture to picture."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from avalign.vision.detection import SAME_FACE_OVERLAP, FaceFinder
from avalign.vision.facemesh import FaceMesh
from avalign.vision.mouth import MouthJudge
from avalign.vision.regions import Detection, Region, box_of, overlap
from avalign.vision.shots import CutFinder, thumbnail
from avalign.vision.tracks import Span, Track

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from avalign.media import Frame

# Seconds between two searches of the whole picture for faces: while every face
# is being followed, while there is none, and just after one was lost.
SEARCH_FOLLOWING_S = 1.0
SEARCH_EMPTY_S = 0.25
SEARCH_LOST_S = 0.1
LOST_FOR_S = 1.0
# And between two searches for very small ones, while there is none.
SEARCH_SMALL_S = 1.0

# The mesh is fitted again and again to a new face until its region, which
# comes from the last fit, has settled.
SETTLING_FITS = 3

# Seconds between two looks at whether a mouth is in view: hands do not come and go faster.
JUDGED_EVERY_S = 0.09

# Faces whose mesh is smaller, in pixels of the analysed picture, are left out.
SMALLEST_FACE = 24.0

# A face may not jump in one step: less overlap with its last box is a lost face.
LEAST_STEP_OVERLAP = 0.2

# How much larger a new face must be to take the place of the smallest one,
# where as many as wanted are followed already.
DISPLACING_SIZE = 1.5


class _Schedule:
    """When to search the whole picture, and when to look whether mouths are in view."""

    def __init__(self) -> None:
        self._searched_s = self._searched_small_s = self._lost_s = self._judged_s = -np.inf

    def shot_begins(self) -> None:
        self._searched_s = self._searched_small_s = -np.inf

    def face_lost(self, now_s: float) -> None:
        self._lost_s, self._searched_s = now_s, -np.inf

    def due(self, now_s: float, following: bool) -> bool:
        if now_s - self._lost_s < LOST_FOR_S:
            period_s = SEARCH_LOST_S
        else:
            period_s = SEARCH_FOLLOWING_S if following else SEARCH_EMPTY_S
        if now_s - self._searched_s < period_s:
            return False
        self._searched_s = now_s
        return True

    def judging_due(self, now_s: float) -> bool:
        if now_s - self._judged_s < JUDGED_EVERY_S:
            return False
        self._judged_s = now_s
        return True

    def small_due(self, now_s: float) -> bool:
        if now_s - self._searched_small_s < SEARCH_SMALL_S:
            return False
        self._searched_small_s = now_s
        return True


class FaceTracker:
    """Follows the faces of successive pictures; one object per thread.

    Parameters
    ----------
    max_faces : int
        Most faces followed at a time; larger ones go first.
    """

    def __init__(self, max_faces: int) -> None:
        self._max_faces = max_faces
        self._judge = MouthJudge()
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
        cut_finder, schedule = CutFinder(), _Schedule()
        size = (0, 0)
        first_thumb = thumb = None
        for index, frame in enumerate(frames):
            image, now_s = frame.image, frame.time_s
            times_s.append(now_s)
            thumb = thumbnail(image)
            if first_thumb is None:
                first_thumb, size = thumb, (image.shape[1], image.shape[0])
            if cut_finder.begins_shot(thumb):
                cuts.append(index)
                ended += active
                active = []
                schedule.shot_begins()
            elif lost := self._advance(active, image, index):
                ended += lost
                schedule.face_lost(now_s)
            if schedule.due(now_s, bool(active)):
                found = self._finder.find(image)
                if not found and not active and schedule.small_due(now_s):
                    found = self._finder.find_small(image)
                ended += self._take_up(found, active, image, index)
            if schedule.judging_due(now_s):
                for track in active:
                    track.mouth_log_odds[-1] = self._judge.log_odds(image, track.landmarks[-1])
        if first_thumb is None or thumb is None:
            return None
        return Span(times_s, ended + active, cuts, size, (first_thumb, thumb))

    def _advance(
        self, active: list[Track], image: NDArray[np.uint8], index: int
    ) -> list[Track]:
        """Take every face one picture on; remove and return those that are lost."""
        kept: list[Track] = []
        lost: list[Track] = []
        for track in active:  # oldest first, so that of two on one face the older stays
            landmarks = self._fit(image, Region.around(track.landmarks[-1]))
            if (
                landmarks is None
                or overlap(box_of(landmarks), track.last_box) < LEAST_STEP_OVERLAP
                or _known(box_of(landmarks), kept) is not None
            ):
                lost.append(track)
            else:
                track.append(index, landmarks)
                kept.append(track)
        active[:] = kept
        return lost

    def _take_up(
        self,
        found: list[Detection],
        active: list[Track],
        image: NDArray[np.uint8],
        index: int,
    ) -> list[Track]:
        """Add new faces to `active`; remove and return those displaced."""
        displaced: list[Track] = []
        for detection in found:
            known = _known(detection.box, active)
            if known is not None:
                known.sure = known.sure or self._finder.is_sure(image, detection)
                continue
            landmarks = self._settle(image, detection.region)
            if landmarks is None or _known(box_of(landmarks), active) is not None:
                continue
            if len(active) >= self._max_faces:
                smallest = min(active, key=lambda track: _extent(track.last_box))
                if _extent(box_of(landmarks)) < DISPLACING_SIZE * _extent(smallest.last_box):
                    continue
                active[:] = [track for track in active if track is not smallest]
                displaced.append(smallest)
            track = Track(sure=self._finder.is_sure(image, detection))
            track.append(index, landmarks)
            active.append(track)
        return displaced

    def _settle(self, image: NDArray[np.uint8], region: Region) -> NDArray[np.float32] | None:
        landmarks = self._fit(image, region)
        for _ in range(1, SETTLING_FITS):
            if landmarks is None:
                break
            landmarks = self._fit(image, Region.around(landmarks))
        return landmarks

    def _fit(self, image: NDArray[np.uint8], region: Region) -> NDArray[np.float32] | None:
        landmarks = self._mesh.fit(image, region)
        if landmarks is None or _extent(box_of(landmarks)) < SMALLEST_FACE:
            return None
        return landmarks


def _extent(box: NDArray[np.float32]) -> float:
    return float(max(box[2] - box[0], box[3] - box[1]))


def _known(box: NDArray[np.float32], tracks: list[Track]) -> Track | None:
    """Return the track whose face is in `box`, if any."""
    closest = max(tracks, key=lambda track: overlap(box, track.last_box), default=None)
    if closest is None or overlap(box, closest.last_box) <= SAME_FACE_OVERLAP:
        return None
    return closest
