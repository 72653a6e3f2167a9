"""Where the clock of a stream runs on, and where it pauses."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def split_at_pauses(times_s: NDArray[np.float64], longest_step_s: float) -> list[slice]:
    """Divide the rows of a stream where its clock pauses.

    Parameters
    ----------
    times_s : ndarray of shape (T,), float64
        Time of each row, increasing.
    longest_step_s : float
        A longer step from one row to the next is a pause.

    Returns
    -------
    list of slice
        Rows without a pause between them, in order; none for no rows.
    """
    if len(times_s) == 0:
        return []
    first = np.flatnonzero(np.diff(times_s) > longest_step_s) + 1
    edges = [0, *first.tolist(), len(times_s)]
    return [slice(begin, end) for begin, end in pairwise(edges)]
