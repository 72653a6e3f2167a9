"""Faces over time: pieces of track, and which of them are one face."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from avalign.vision.regions import box_of, overlap
from avalign.vision.shots import CERTAIN_CUT, difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Overlap at which a face that reappears is the same one: soon after in the same
# shot, and otherwise (across a cut, or much later), where it must be clearly
# the same place and size.
REJOIN_OVERLAP = 0.3
REJOIN_WITHIN_S = 2.0
RETURN_OVERLAP = 0.5


@dataclass(slots=True)
class Track:
    """One face over some frames, not necessarily without gaps."""

    indices: list[int] = field(default_factory=list)
    # [P, 3] in pixels of the analysed frame.
    landmarks: list[NDArray[np.float32]] = field(default_factory=list)
    sure: bool = False  # a detector was, at least once
    # Log odds that the mouth is in view; NaN where it was not asked.
    mouth_log_odds: list[float] = field(default_factory=list)

    @property
    def first_box(self) -> NDArray[np.float32]:
        """Left, top, right and bottom where the face appears."""
        return box_of(self.landmarks[0])

    @property
    def last_box(self) -> NDArray[np.float32]:
        """Left, top, right and bottom where the face was seen last."""
        return box_of(self.landmarks[-1])

    def append(
        self, index: int, landmarks: NDArray[np.float32], mouth_log_odds: float = np.nan
    ) -> None:
        """Add the next frame."""
        self.indices.append(index)
        self.landmarks.append(landmarks)
        self.mouth_log_odds.append(mouth_log_odds)


@dataclass(slots=True)
class Span:
    """What was seen in successive frames."""

    times_s: list[float]
    tracks: list[Track]
    cuts: list[int]  # frames before which there is a cut
    size: tuple[int, int]  # width, height as analysed
    # Thumbnails of the first and of the last frame.
    ends: tuple[NDArray[np.float32], NDArray[np.float32]]


def join_spans(spans: list[Span]) -> tuple[list[float], list[int], list[Track]]:
    """Join successive spans: times, first frames of shots, one track per sure face."""
    times_s: list[float] = []
    cuts: list[int] = []
    pieces: list[Track] = []
    previous: Span | None = None
    for span in spans:
        offset = len(times_s)
        if previous is not None and difference(previous.ends[1], span.ends[0]) > CERTAIN_CUT:
            cuts.append(offset)
        cuts += [offset + index for index in span.cuts]
        for track in span.tracks:
            indices = [offset + index for index in track.indices]
            pieces.append(Track(indices, track.landmarks, track.sure, track.mouth_log_odds))
        times_s += span.times_s
        previous = span
    faces = _link(sorted(pieces, key=lambda track: track.indices[0]), times_s, cuts)
    return times_s, cuts, [face for face in faces if face.sure]


def _link(pieces: list[Track], times_s: list[float], cuts: list[int]) -> list[Track]:
    """Append each piece to the face it continues, or start a face with it."""
    shot = np.zeros(len(times_s), int)
    shot[cuts] = 1
    shot = shot.cumsum()
    faces: list[Track] = []
    for piece in pieces:
        start = piece.indices[0]
        best, best_margin = None, 0.0
        for face in faces:
            end = face.indices[-1]
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
            best.indices += piece.indices
            best.landmarks += piece.landmarks
            best.mouth_log_odds += piece.mouth_log_odds
            best.sure |= piece.sure
    return faces
