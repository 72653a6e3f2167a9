"""Which points of MediaPipe's 478 are read, and in which rows they come."""

from __future__ import annotations

import numpy as np

__all__ = ["CHIN", "LIPS", "LIPS_INNER", "LIPS_OUTER", "MESH_POINTS", "OUTER_EYES", "RIGID"]

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
