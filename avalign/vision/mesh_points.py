"""Which points of MediaPipe's 478 are read, and in which rows they come."""

from __future__ import annotations

import numpy as np

# Numbers of MediaPipe's face mesh, each ring in order around the lips.
LIPS_OUTER = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
LIPS_INNER = (
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
_CHIN_NUMBER = 152
# Eye corners (outer, inner of each eye) and the ridge and tip of the nose.
_RIGID_NUMBERS = (33, 133, 362, 263, 168, 6, 1, 4, 5, 195, 197)
_RIGID_MIRRORED = (263, 362, 133, 33, 168, 6, 1, 4, 5, 195, 197)
_OVAL_NUMBERS = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)

# Reading 478 points out of the message would cost a sixth of the whole run.
MESH_POINTS = tuple(
    dict.fromkeys((*LIPS_OUTER, *LIPS_INNER, _CHIN_NUMBER, *_RIGID_NUMBERS, *_OVAL_NUMBERS))
)
_ROW = {number: row for row, number in enumerate(MESH_POINTS)}

# Rows of what `FaceMesh.fit` returns.
LIPS = np.array([_ROW[number] for number in (*LIPS_OUTER, *LIPS_INNER)])
CHIN = _ROW[_CHIN_NUMBER]
RIGID = np.array([_ROW[number] for number in _RIGID_NUMBERS])
# Outer corners of the eye on the left of the picture and of the other one.
OUTER_EYES = (_ROW[33], _ROW[263])


def _opposite(ring: tuple[int, ...], start: int) -> tuple[int, ...]:
    """Mirror images of the points of a ring, the first of which mirrors number `start`."""
    return tuple(ring[(start - index) % len(ring)] for index in range(len(ring)))


_OPPOSITE = dict(
    [
        *zip(LIPS_OUTER, _opposite(LIPS_OUTER, 10), strict=True),
        *zip(LIPS_INNER, _opposite(LIPS_INNER, 10), strict=True),
        *zip(_OVAL_NUMBERS, _opposite(_OVAL_NUMBERS, 0), strict=True),
        *zip(_RIGID_NUMBERS, _RIGID_MIRRORED, strict=True),
    ]
)
# Row of the point that each row turns into where left and right are exchanged.
MIRRORED = np.array([_ROW[_OPPOSITE[number]] for number in MESH_POINTS])
