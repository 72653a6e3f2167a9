"""One step of the recurrence for a whole strip of rows, held in vector registers.

A *strip* is HEIGHT = VECTORS * lanes rows of the cost matrix. At step t its row r computes
column t - r: the cells of a step lie on an anti-diagonal and do not depend on each other.

    steps        column 0  1  2  3  4          rows            lane  7   6   5       0
    boundary         b  b  b  b  b  b          vector 0          r   0   6  12  ..  42
    row 0            0  1  2  3  4             vector 1          r   1   7  13  ..  43
    row 1            1  2  3  4  5               ..
    row 2            2  3  4  5  6             vector 5          r   5  11  17  ..  47
    ..
    row 47, which replaces the boundary        row r = VECTORS * k + v, lane lanes - 1 - k

What is above vector v is vector v - 1 of one step ago. Above vector 0 it is vector 5 moved to
the lane below: the bottom row leaves by lane 0 to boundary column t - HEIGHT, and column t
enters by the last lane. Boundary column j stands at index j + HEIGHT.

    state   | newest: step t - 1, VECTORS | older: step t - 2, VECTORS | entered at t - 1 |

One load finds the columns of a vector, see `univariate.layout.lay_out`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from avalign.dtw.compiled import SQEUCLIDEAN
from avalign.dtw.simd import emission
from avalign.dtw.simd.registers import STATE, VECTORS, offset
from avalign.dtw.simd.vectors import element_pointer


@intrinsic(prefer_literal=True)
def step(typing_context, state, rows, columns, boundary, time, metric, diagonal):
    """Advance a strip by one step; return the state. Metric and weight 1 or 2 are constants."""

    def generate(context, builder, signature, arguments):
        wave = _Wave(context, builder, signature, arguments)
        return wave.pack(wave.advance())

    return state(state, rows, columns, boundary, time, metric, diagonal), generate


@intrinsic(prefer_literal=True)
def step_and_spot(
    typing_context, state, starts, rows, columns, boundary, starts_boundary, time, metric,
    diagonal,
):  # fmt: skip
    """Advance a strip by one step, and carry along in which column each path began."""
    # `starts` and `starts_boundary` are to the paths' first columns what state and boundary
    # are to their costs.
    result = types.Tuple((state, starts))

    def generate(context, builder, signature, arguments):
        state_type, starts_type, rows_type, columns_type, boundary_type = signature.args[:5]
        state, starts, rows, columns, boundary, starts_boundary, time = arguments[:7]
        costs = _Wave(
            context,
            builder,
            types.void(state_type, rows_type, columns_type, boundary_type, *signature.args[6:]),
            (state, rows, columns, boundary, time),
        )
        began = _Wave(
            context,
            builder,
            types.void(starts_type, rows_type, columns_type, *signature.args[5:]),
            (starts, rows, columns, starts_boundary, time),
        )
        entering = began.exchange()
        first_columns: list[Any] = [None] * VECTORS

        def carry(v: int, straight: Any, leftward: Any) -> None:
            start_up = began.newest[v - 1] if v else entering
            start_diagonal = began.older[v - 1] if v else began.entered
            start = builder.select(leftward, began.newest[v], start_up)
            first_columns[v] = builder.select(straight, start, start_diagonal)

        packed = costs.pack(costs.advance(carry))
        packed_starts = began.pack([*first_columns, *began.newest, entering])
        return context.make_tuple(builder, result, [packed, packed_starts])

    inputs = (state, starts, rows, columns, boundary, starts_boundary, time, metric, diagonal)
    return result(*inputs), generate


@intrinsic(prefer_literal=True)
def step_in_lanes(typing_context, state, rows, columns, boundary, time, metric, diagonal):
    """Advance VECTORS rows of as many matrices as there are lanes by one step."""

    def generate(context, builder, signature, arguments):
        wave = _WaveOfLanes(context, builder, signature, arguments)
        return wave.pack(wave.advance())

    return state(state, rows, columns, boundary, time, metric, diagonal), generate


@intrinsic(prefer_literal=True)
def step_and_trace(
    typing_context, state, rows, columns, boundary, time, metric, diagonal, directions, at
):
    """Advance a strip by one step; write where each cell came from to `directions[at:]`."""

    def generate(context, builder, signature, arguments):
        wave = _Wave(context, builder, signature, arguments)
        # Two masks a vector: not from the diagonal; if so, from the left and not from above.
        first = element_pointer(context, builder, signature.args[7], *arguments[7:9])
        out = builder.bitcast(first, ir.IntType(wave.lanes).as_pointer())

        def trace(v: int, straight: Any, leftward: Any) -> None:
            for i, mask in enumerate((straight, leftward)):
                bits = emission.mask_bits(builder, mask)
                builder.store(bits, offset(builder, out, 2 * v + i))

        return wave.pack(wave.advance(trace))

    arguments = (state, rows, columns, boundary, time, metric, diagonal, directions, at)
    return state(*arguments), generate


class _Wave:
    """Emits a step, given the arguments that all kinds of step begin with."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.builder = context, builder
        self.state_type, _, columns_type, boundary_type = signature.args[:4]
        self.metric, self.diagonal = (code.literal_value for code in signature.args[5:7])
        self.lanes = self.state_type.dtype.lanes
        state, rows, columns, boundary, time = arguments[:5]
        unpacked = [builder.extract_value(state, i) for i in range(STATE)]
        self.newest, self.older = unpacked[:VECTORS], unpacked[VECTORS:-1]
        self.entered = unpacked[-1]
        self.rows = [builder.extract_value(rows, v) for v in range(VECTORS)]
        first = builder.mul(time, ir.Constant(ir.IntType(64), self.lanes))
        self.columns = element_pointer(context, builder, columns_type, columns, first)
        self.boundary = element_pointer(context, builder, boundary_type, boundary, time)

    def exchange(self) -> Any:
        """Leave the bottom row in the boundary, and return what is above the first vector."""
        builder, last = self.builder, self.newest[-1]
        # A whole vector is loaded for its first lane: a shift can take it from memory.
        entering_from = offset(builder, self.boundary, VECTORS * self.lanes)
        above = emission.load(builder, entering_from, self.lanes)
        builder.store(
            builder.extract_element(last, ir.Constant(ir.IntType(32), 0)), self.boundary
        )
        return emission.shift_down(builder, last, above)

    def advance(self, trace: Any = None) -> list[Any]:
        """Compute the cells of a step; `trace` is told where each minimum came from."""
        entering = self.exchange()
        values: list[Any] = [None] * VECTORS
        for v in reversed(range(VECTORS)):
            up = self.newest[v - 1] if v else entering
            corner = self.older[v - 1] if v else self.entered
            cell = self._cell if self.diagonal == 1 else self._weighted_cell
            values[v] = cell(v, self._cost(v), corner, up, self.newest[v], trace)
        return [*values, *self.newest, entering]

    def pack(self, state: list[Any]) -> Any:
        return self.context.make_tuple(self.builder, self.state_type, state)

    def _cell(self, v: int, cost: Any, corner: Any, up: Any, left: Any, trace: Any) -> Any:
        builder = self.builder
        if trace is None:
            nearer = emission.minimum_of_nonnegative(builder, corner, left)
            return builder.fadd(cost, self._least(v, nearer, up))
        nearer = emission.minimum_of_nonnegative(builder, up, left)
        least = self._least(0, corner, nearer)
        straight = builder.fcmp_ordered("<", nearer, corner)
        trace(v, straight, emission.less_of_nonnegative(builder, left, up))
        return builder.fadd(cost, least)

    def _weighted_cell(
        self, v: int, cost: Any, corner: Any, up: Any, left: Any, trace: Any
    ) -> Any:
        """Count the cost twice on the diagonal, which may come from a negative corner."""
        builder = self.builder
        across = builder.fadd(corner, builder.fadd(cost, cost))
        if trace is None:
            nearer = builder.fadd(cost, emission.minimum_of_nonnegative(builder, up, left))
        else:
            # Rounding may make equal what was not: what is compared are the sums.
            down, along = builder.fadd(cost, up), builder.fadd(cost, left)
            nearer = emission.minimum_of_nonnegative(builder, down, along)
            straight = builder.fcmp_ordered("<", nearer, across)
            trace(v, straight, emission.less_of_nonnegative(builder, along, down))
        return self._least(v, across, nearer)

    def _cost(self, v: int) -> Any:
        address = offset(self.builder, self.columns, (VECTORS - v) * self.lanes)
        column = emission.load(self.builder, address, self.lanes)
        difference = self.builder.fsub(self.rows[v], column)
        if self.metric == SQEUCLIDEAN:
            return self.builder.fmul(difference, difference)
        return emission.absolute(self.builder, difference)

    def _least(self, v: int, a: Any, b: Any) -> Any:
        # Comparing bits and comparing numbers run on different ports of the processor:
        # double precision is fastest when both share the work.
        if v % 2 and self.rows[v].type.element == ir.DoubleType():
            return emission.minimum(self.builder, a, b)
        return emission.minimum_of_nonnegative(self.builder, a, b)


class _WaveOfLanes(_Wave):
    """Emits a step of a matrix per lane; boundary column j is the vector at j + VECTORS."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        super().__init__(context, builder, signature, arguments)
        first = builder.mul(arguments[4], ir.Constant(ir.IntType(64), self.lanes))
        self.boundary = element_pointer(
            context, builder, signature.args[3], arguments[3], first
        )

    def exchange(self) -> Any:
        """Leave the bottom row in the boundary, and return the row above the first."""
        entering_from = offset(self.builder, self.boundary, VECTORS * self.lanes)
        entering = emission.load(self.builder, entering_from, self.lanes)
        emission.store(self.builder, self.newest[-1], self.boundary)
        return entering
