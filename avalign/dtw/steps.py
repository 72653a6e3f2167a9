"""Step patterns: which moves a warping path may make, and what each cell on the way weighs.

A move is a run of increments ``(rows, columns, weight)``; every increment lands on a cell
and adds that cell's local cost times its weight. The classic three moves are
``((1, 1, 1),)``, ``((1, 0, 1),)`` and ``((0, 1, 1),)``; a slope limit such as "after one
step along the columns, one diagonal" is a move of two increments.

References
----------
.. [1] H. Sakoe and S. Chiba, "Dynamic programming algorithm optimization for spoken word
   recognition", IEEE Trans. ASSP 26(1), 1978: table I, the slope constraints P = 0 to 2.
.. [2] L. Rabiner and B.-H. Juang, "Fundamentals of Speech Recognition", 1993, section
   4.7.2: local constraints I to VII, slope weightings a to d.
.. [3] F. Itakura, "Minimum prediction residual principle applied to speech recognition",
   IEEE Trans. ASSP 23(1), 1975.
.. [4] T. Giorgino, "Computing and visualizing dynamic time warping alignments in R: the
   dtw package", J. Statistical Software 31(7), 2009: names and normalisations.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from operator import index
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from avalign.arguments import abbreviate, choice, flag, whole
from avalign.errors import ParameterError

Increment = tuple[int, int, float]
Move = tuple[Increment, ...]
Normalization = Literal["N", "M", "N+M"]

# Moves are numbered by one byte, whose last value means "begins here".
MOST_MOVES = 250
# As many rows as a move reaches back are held in memory.
LONGEST_INCREMENT = 1000


@dataclass(frozen=True, slots=True)
class StepPattern:
    """The moves that a warping path may make.

    Parameters
    ----------
    name : str
        What results and messages call it.
    moves : sequence of sequences of (int, int, float)
        Each move is a run of increments (rows, columns, weight) from the cell where it
        starts; each increment adds its weight times the local cost of the cell it lands
        on. Of moves that cost the same the first one listed wins, except that moves
        within one row come last.
    normalization : {"N", "M", "N+M"}, optional
        What the weights of every path add up to, if that is the same for all paths: the
        rows of x, of y, or both. It makes distances of different lengths comparable.

    Attributes
    ----------
    diagonal_weight : {0, 1, 2}
        If these are the three unit steps, the diagonal first and those aside of weight 1:
        what a diagonal step weighs, where that is 1 or 2. Of all other patterns 0.

    Raises
    ------
    ParameterError
        If a move is empty, stands still, goes back, leaps over a thousand cells, or has a
        weight that is negative or not finite.

    Examples
    --------
    >>> slow = StepPattern("at most half as fast", (((1, 1, 1),), ((1, 0, 1), (1, 1, 1))))
    >>> slow.largest_move
    (2, 1)
    """

    name: str
    moves: tuple[Move, ...]
    normalization: Normalization | None = None
    diagonal_weight: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            moves = tuple(
                tuple(
                    (index(rows), index(columns), float(weight))
                    for rows, columns, weight in move
                )
                for move in self.moves
            )
        except (TypeError, ValueError, OverflowError):
            raise ParameterError(
                f"step pattern {self.name!r} has the moves {abbreviate(self.moves)}",
                "each is a sequence of (rows, columns, weight), the first two whole numbers",
            ) from None
        if not 0 < len(moves) <= MOST_MOVES:
            raise ParameterError(
                f"step pattern {self.name!r} has {len(moves)} moves",
                f"give it 1 to {MOST_MOVES}",
            )
        for move in moves:
            sound = all(
                min(rows, columns) >= 0 and 0 < rows + columns <= LONGEST_INCREMENT
                and weight >= 0 and isfinite(weight)
                for rows, columns, weight in move
            )  # fmt: skip
            if not (move and sound):
                raise ParameterError(
                    f"step pattern {self.name!r} has the move {move}",
                    "a move is one or more (rows, columns, weight) that go forward, by "
                    f"{LONGEST_INCREMENT} at most, with finite weights of 0 or more",
                )
        if self.normalization is not None:
            choice(self.normalization, "normalization", get_args(Normalization))
        object.__setattr__(self, "moves", moves)
        weight = next((weight for weight in (1, 2) if moves == unit_steps(weight)), 0)
        object.__setattr__(self, "diagonal_weight", weight)

    @property
    def is_classic(self) -> bool:
        """Whether these are the three unit steps of weight 1, the diagonal first."""
        return self.diagonal_weight == 1

    @property
    def largest_move(self) -> tuple[int, int]:
        """Rows and columns of the furthest reaching moves."""
        steps = compile_steps(self)
        return int(steps.rows.max()), int(steps.columns.max())

    @property
    def is_symmetric(self) -> bool:
        """Whether exchanging x and y changes no distance."""
        swapped = {
            tuple((columns, rows, weight) for rows, columns, weight in move)
            for move in self.moves
        }
        return swapped == set(self.moves)


class Steps(NamedTuple):
    """A step pattern as the arrays that the engine reads; moves within a row come last."""

    rising: int  # so many moves, the first, come from earlier rows
    rows: NDArray[np.int64]  # the whole reach of each move
    columns: NDArray[np.int64]
    # Cells of move k, in the order of travel: first_cell[k] to first_cell[k + 1] - 1, each
    # so many rows and columns before the end of the move.
    first_cell: NDArray[np.int64]
    rows_back: NDArray[np.int64]
    columns_back: NDArray[np.int64]
    weights: NDArray[Any]


@lru_cache(maxsize=64)
def compile_steps(pattern: StepPattern, dtype: str = "float64") -> Steps:
    """Return a step pattern as arrays, with weights of the given type."""
    moves = sorted(pattern.moves, key=lambda move: _reach(move)[0] == 0)
    reaches = np.array([_reach(move) for move in moves], dtype=np.int64)
    back: list[tuple[int, int]] = []
    for move, (rows, columns) in zip(moves, reaches, strict=True):
        travelled = np.cumsum([increment[:2] for increment in move], axis=0)
        back += [(rows - a, columns - b) for a, b in travelled]
    backs = np.array(back, dtype=np.int64)
    return Steps(
        rising=int(np.count_nonzero(reaches[:, 0])),
        rows=np.ascontiguousarray(reaches[:, 0]),
        columns=np.ascontiguousarray(reaches[:, 1]),
        first_cell=np.cumsum([0, *map(len, moves)], dtype=np.int64),
        rows_back=np.ascontiguousarray(backs[:, 0]),
        columns_back=np.ascontiguousarray(backs[:, 1]),
        weights=np.array([weight for move in moves for *_, weight in move], dtype=dtype),
    )


def _reach(move: Move) -> tuple[int, int]:
    return sum(step[0] for step in move), sum(step[1] for step in move)


def unit_steps(diagonal_weight: float) -> tuple[Move, ...]:
    """Return the three unit steps, the diagonal first, the others of weight 1."""
    return (((1, 1, float(diagonal_weight)),), ((1, 0, 1.0),), ((0, 1, 1.0),))


def _order(moves: list[Move]) -> tuple[Move, ...]:
    """Diagonal moves first, then those that advance x, then those that advance y."""

    def key(move: Move) -> tuple[int, bool, int]:
        rows, columns = _reach(move)
        return abs(rows - columns), columns > rows, rows + columns

    return tuple(sorted(moves, key=key))


def _weigh(
    shapes: list[list[tuple[int, int]]],
    weigh: Callable[[int, int], float],
    *,
    smoothed: bool = False,
) -> tuple[Move, ...]:
    moves = []
    for shape in shapes:
        weights = [float(weigh(rows, columns)) for rows, columns in shape]
        if smoothed:
            weights = [sum(weights) / len(weights)] * len(weights)
        moves.append(
            tuple((*step, weight) for step, weight in zip(shape, weights, strict=True))
        )
    return _order(moves)


# Slope weightings of Rabiner & Juang: (rows, columns) of an increment -> its weight.
_SLOPE_WEIGHTINGS: dict[str, tuple[Callable[[int, int], float], Normalization | None]] = {
    "a": (min, None),
    "b": (max, None),
    "c": (lambda rows, columns: rows, "N"),
    "d": (lambda rows, columns: rows + columns, "N+M"),
}

_D, _X, _Y = (1, 1), (1, 0), (0, 1)
_LOCAL_CONSTRAINTS: dict[int, list[list[tuple[int, int]]]] = {
    1: [[_X], [_D], [_Y]],
    2: [[_D, _X], [_D], [_D, _Y]],
    3: [[(2, 1)], [_D], [(1, 2)]],
    4: [[_D, _X], [(1, 2), _X], [_D], [(1, 2)]],
    5: [[_D, _X, _X], [_D, _X], [_D], [_D, _Y], [_D, _Y, _Y]],
    6: [[_D, _D, _X], [_D], [_D, _D, _Y]],
    7: [[(1, columns), *[_X] * more] for more in range(3) for columns in (1, 2, 3)],
}


def rabiner_juang(
    kind: int, slope_weighting: str = "c", *, smoothed: bool = False
) -> StepPattern:
    """Return one of Rabiner and Juang's local constraints.

    Parameters
    ----------
    kind : int
        1 to 7, the book's types I to VII: I any slope, II slopes 1/2 to 2, III the same
        by jumps, IV Itakura's, V slopes 1/3 to 3, VI slopes 2/3 to 3/2, VII slopes 1/3 to
        3 by jumps.
    slope_weighting : {"a", "b", "c", "d"}
        What an increment (rows, columns) weighs: the smaller of both, the larger, the
        rows, or the sum. c makes every path weigh as much as x is long, d as both.
    smoothed : bool
        Share the weight of a move equally among its cells.

    Returns
    -------
    StepPattern
        The pattern, named as in ``"rabiner_juang_3c"`` or ``"rabiner_juang_2d_smoothed"``.

    Raises
    ------
    ParameterError
        If there is no such type or weighting.

    References
    ----------
    .. [1] L. Rabiner and B.-H. Juang, "Fundamentals of Speech Recognition", 1993,
       section 4.7.2.
    """
    kind = whole(kind, "kind", least=1)
    if kind not in _LOCAL_CONSTRAINTS:
        raise ParameterError(f"no Rabiner-Juang constraint of type {kind}", "types are 1 to 7")
    choice(slope_weighting, "slope weighting", _SLOPE_WEIGHTINGS)
    flag(smoothed, "smoothed")
    weigh, normalization = _SLOPE_WEIGHTINGS[slope_weighting]
    name = f"rabiner_juang_{kind}{slope_weighting}{'_smoothed' * smoothed}"
    moves = _weigh(_LOCAL_CONSTRAINTS[kind], weigh, smoothed=smoothed)
    return StepPattern(name, moves, normalization)


def _both_forms(name: str, shapes: list[list[tuple[int, int]]]) -> list[StepPattern]:
    """Both forms of a slope constraint: weights by rows plus columns, and by rows."""
    both = _weigh(shapes, _SLOPE_WEIGHTINGS["d"][0])
    # The asymmetric form shares what a run along y weighs among the cells of the run.
    rows_only = _order(
        [
            tuple(
                (*step, 1 / len(shape) if _Y in shape and _X not in shape else step[0])
                for step in shape
            )
            for shape in shapes
        ]
    )
    return [
        StepPattern(f"symmetric{name}", both, "N+M"),
        StepPattern(f"asymmetric{name}", rows_only, "N"),
    ]


_PATTERNS = [
    StepPattern("symmetric1", unit_steps(1)),
    StepPattern("symmetric2", unit_steps(2), "N+M"),
    StepPattern("asymmetric", (((1, 1, 1),), ((1, 0, 1),), ((1, 2, 1),)), "N"),
    StepPattern("symmetricP0", unit_steps(2), "N+M"),
    StepPattern("asymmetricP0", (((1, 1, 1),), ((1, 0, 1),), ((0, 1, 0),)), "N"),
    *_both_forms("P05", [[_D], [_D, _X], [_D, _Y], [_D, _X, _X], [_D, _Y, _Y]]),
    *_both_forms("P1", [[_D], [_D, _X], [_D, _Y]]),
    StepPattern(
        "symmetricP2",
        (((1, 1, 2),), ((1, 1, 2), (1, 1, 2), (1, 0, 1)), ((1, 1, 2), (1, 1, 2), (0, 1, 1))),
        "N+M",
    ),
    StepPattern(
        "asymmetricP2",
        (
            ((1, 1, 1),),
            ((1, 1, 1), (1, 1, 1), (1, 0, 1)),
            ((1, 1, 2 / 3), (1, 1, 2 / 3), (0, 1, 2 / 3)),
        ),
        "N",
    ),
    StepPattern("itakura", rabiner_juang(4, "c").moves, "N"),
    *[
        rabiner_juang(kind, weighting, smoothed=smoothed)
        for kind in _LOCAL_CONSTRAINTS
        for weighting in _SLOPE_WEIGHTINGS
        for smoothed in (False, True)
    ],
]

STEP_PATTERNS: dict[str, StepPattern] = {pattern.name: pattern for pattern in _PATTERNS}


def step_pattern(named: str | StepPattern) -> StepPattern:
    """Return a step pattern by its name; one's own pattern comes back as it is."""
    if isinstance(named, StepPattern):
        return named
    try:
        return STEP_PATTERNS[named]
    except (KeyError, TypeError):
        plain = [name for name in STEP_PATTERNS if not re.match("rabiner", name)]
        raise ParameterError(
            f"no step pattern {abbreviate(named)}",
            f"take {', '.join(plain)}, rabiner_juang_1a to 7d, or a StepPattern",
        ) from None
