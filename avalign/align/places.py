"""Where each face is, in words that tell the faces of a clip apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from avalign.types import LipStream

# A face is in the middle third or so of the picture, or to one side of it.
_LEFT, _RIGHT = 0.4, 0.6
# Faces that differ by more than this in height, in their own heights, stand in two rows.
_ROW = 0.5
_LEVELS = {1: ("",), 2: ("upper", "lower"), 3: ("upper", "", "lower")}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def median_box(lips: LipStream) -> NDArray[np.float64]:
    """Median box of a face: left, top, right, bottom as fractions of the frame, else 0."""
    boxes = lips.boxes[lips.valid].astype(np.float64)
    return np.median(boxes, axis=0) if len(boxes) else np.zeros(4)


def name_places(faces: Sequence[LipStream]) -> tuple[str, ...]:
    """Name the places of faces, each with words of its own.

    Faces that are seen together are told apart by where they are: "left", "centre",
    "right"; where two share that word, "upper left" and "lower left"; where they stand
    side by side, "second from the left". Faces that are never seen together, as before
    and after a cut, may share a place, and are then told apart by when they appear:
    "centre, from 12.4 s".
    """
    boxes = [median_box(face) for face in faces]
    names = [""] * len(faces)
    company_of = [0] * len(faces)
    for company, members in enumerate(_group_faces(faces)):
        words = _words([boxes[number] for number in members])
        for number, word in zip(members, words, strict=True):
            names[number], company_of[number] = word, company
    # Whatever else it is called, a face on the left may be taken for another on the left.
    claims = [{name, _side(box)} for name, box in zip(names, boxes, strict=True)]
    for number, face in enumerate(faces):
        if any(
            company_of[other] != company_of[number] and claims[other] & claims[number]
            for other in range(len(faces))
        ):
            names[number] += f", from {_first_seen_s(face):.1f} s"
    # What is still shared is shared by faces that appear within a tenth of a second.
    count = Counter(names)
    return tuple(
        f"{name}, number {number}" if count[name] > 1 else name
        for number, name in enumerate(names, start=1)
    )


def _group_faces(faces: Sequence[LipStream]) -> list[list[int]]:
    """Group faces that share a picture with one another, directly or through others."""
    companies: list[tuple[list[int], NDArray[np.float64]]] = []
    for number, face in enumerate(faces):
        members, seen_s = [number], face.times_s[face.valid]
        apart = []
        for others, others_seen_s in companies:
            if np.isin(seen_s, others_seen_s).any():
                members, seen_s = [*others, *members], np.union1d(seen_s, others_seen_s)
            else:
                apart.append((others, others_seen_s))
        companies = [*apart, (sorted(members), seen_s)]
    return [members for members, _ in companies]


def _words(boxes: Sequence[NDArray[np.float64]]) -> list[str]:
    """Name the places of faces in one picture, in the fewest words that tell them apart."""
    sides = [_side(box) for box in boxes]
    by_side: dict[str, list[int]] = defaultdict(list)
    for number, side in enumerate(sides):
        by_side[side].append(number)
    columns = {side: _rows(boxes, members) for side, members in by_side.items()}
    for side, rows in columns.items():
        if len(rows) not in _LEVELS or any(len(row) > 1 for row in rows):
            return _count_from_left(boxes)
        for level, (number,) in zip(_LEVELS[len(rows)], rows, strict=True):
            sides[number] = f"{level} {side}".strip()
    return sides


def _side(box: NDArray[np.float64]) -> str:
    middle = _middle(box)
    return "left" if middle < _LEFT else "right" if middle > _RIGHT else "centre"


def _middle(box: NDArray[np.float64]) -> float:
    return float(box[0] + box[2]) / 2


def _count_from_left(boxes: Sequence[NDArray[np.float64]]) -> list[str]:
    """Count faces from the left, row by row."""
    rows = _rows(boxes, range(len(boxes)))
    names = [""] * len(boxes)
    for level, row in enumerate(rows, start=1):
        where = f" in row {level}" if len(rows) > 1 else ""
        ordered = sorted(row, key=lambda number: (_middle(boxes[number]), number))
        for place, number in enumerate(ordered, start=1):
            ordinal = _ORDINALS[place - 1] if place <= len(_ORDINALS) else f"number {place}"
            names[number] = f"{ordinal} from the left{where}"
    return names


def _rows(boxes: Sequence[NDArray[np.float64]], members: Iterable[int]) -> list[list[int]]:
    """Divide faces into rows from the top, wherever the next is clearly lower."""
    ordered = sorted(
        members, key=lambda number: ((boxes[number][1] + boxes[number][3]), number)
    )
    rows = [[ordered[0]]]
    for above, below in pairwise(ordered):
        upper, lower = boxes[above], boxes[below]
        fall = (lower[1] + lower[3] - upper[1] - upper[3]) / 2
        height = (lower[3] - lower[1] + upper[3] - upper[1]) / 2
        if fall > _ROW * height:
            rows.append([])
        rows[-1].append(below)
    return rows


def _first_seen_s(face: LipStream) -> float:
    return float(face.times_s[face.valid][0]) if face.valid.any() else 0.0
