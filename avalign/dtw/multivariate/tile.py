"""The innermost step on vector series: local costs of a tile, then the recurrence over it.

Strips have ROWS_PER_LANE * lanes rows. Each lane owns consecutive rows, the last lane the
topmost, and works COLUMNS columns behind the lane that owns the rows above it.

    columns           4 t - 8 ..   4 t - 4 ..   4 t ..
    lane 7, rows 0-3                            [tile t]     all neighbours of a cell are known
    lane 6, rows 4-7               [tile t]                  when its turn comes; lanes meet by
    lane 5, rows 8-  [tile t]                                one rotation a column

Row v of a lane follows row v - 1 by one column, so that the rows of a step do not wait for
each other. The steps of a tile, primed where the next tile takes them (LATE_CELLS):

    column     0   1   2   3
    v = 0      0   1   2   3
    v = 1      1   2   3   0'
    v = 2      2   3   0'  1'
    v = 3      3   0'  1'  2'

    state   | last of each row | diagonal of each row | above | costs of late cells |

Every COLUMNS-th column of y, lane after lane, is one unaligned load, see `plan.Plan`. Costs
take 2 * dimensions of the 2 * dimensions + 3 operations per cell and hardly leave registers;
squares are summed in the order of the dimensions by fused multiply-adds.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN
from avalign.dtw.simd import emission
from avalign.dtw.simd.vectors import BYTES, element_pointer

ROWS_PER_LANE = 4
COLUMNS = 4

LATE_CELLS = [(v, p) for v in range(ROWS_PER_LANE) for p in range(COLUMNS - v, COLUMNS)]

STATE_VECTORS = 2 * ROWS_PER_LANE + 1 + len(LATE_CELLS)


def _costs_at_once() -> int:
    """How many rows and columns of vectors accumulate side by side in registers."""
    features = config.CPU_FEATURES
    if features is None:
        return 4 if llvm.get_host_cpu_features().get("avx512f") else 2
    return 4 if "+avx512f" in features else 2


class _Tile:
    """Emitter of one tile; the arguments are llvmlite values, positions count elements."""

    def __init__(self, builder: Any, element: Any, lanes: int) -> None:
        self.builder = builder
        self.element = element
        self.lanes = lanes
        self.vector = ir.VectorType(element, lanes)

    def at(self, pointer: Any, offset: Any) -> Any:
        if isinstance(offset, int):
            offset = ir.Constant(cgutils.intp_t, offset)
        return self.builder.gep(pointer, [offset])

    def load(self, pointer: Any, offset: int) -> Any:
        return emission.load(self.builder, self.at(pointer, offset), self.lanes)

    def accumulate(
        self,
        sums: dict[tuple[int, int], Any],
        rows: Any,
        columns: Any,
        dimensions: Any,
        *,
        squares: bool,
    ) -> None:
        """Add the costs of all dimensions to sums, kept at (row, column) in stack slots."""
        builder = self.builder
        with cgutils.for_range(builder, dimensions) as loop:
            row_step = ir.Constant(cgutils.intp_t, ROWS_PER_LANE * self.lanes)
            column_step = ir.Constant(cgutils.intp_t, COLUMNS * 2 * self.lanes)
            rows = self.at(rows, builder.mul(loop.index, row_step))
            columns = self.at(columns, builder.mul(loop.index, column_step))
            x = {v: self.load(rows, v * self.lanes) for v, _ in sums}
            y = {p: self.load(columns, p * 2 * self.lanes) for _, p in sums}
            for (v, p), slot in sums.items():
                difference = builder.fsub(x[v], y[p])
                total = builder.load(slot)
                if squares:
                    total = emission.fused_multiply_add(builder, difference, difference, total)
                else:
                    total = builder.fadd(total, emission.absolute(builder, difference))
                builder.store(total, slot)

    def costs(
        self, rows: Any, columns: Any, dimensions: Any, metric: Any, fence: Any
    ) -> dict[tuple[int, int], Any]:
        """Compute the local costs of all cells of the tile."""
        builder = self.builder
        slots = {
            (v, p): cgutils.alloca_once(builder, self.vector)
            for v in range(ROWS_PER_LANE)
            for p in range(COLUMNS)
        }
        for (v, p), slot in slots.items():
            builder.store(self.load(fence, (p - v) * self.lanes), slot)
        side = _costs_at_once()
        for first_row in range(0, ROWS_PER_LANE, side):
            for first_column in range(0, COLUMNS, side):
                part = {
                    (v, p): slot
                    for (v, p), slot in slots.items()
                    if first_row <= v < first_row + side
                    and first_column <= p < first_column + side
                }
                manhattan = builder.icmp_signed("==", metric, _intp(MANHATTAN))
                with builder.if_else(manhattan) as (then, otherwise):
                    with then:
                        self.accumulate(part, rows, columns, dimensions, squares=False)
                    with otherwise:
                        self.accumulate(part, rows, columns, dimensions, squares=True)
        with builder.if_then(builder.icmp_signed("==", metric, _intp(EUCLIDEAN)), likely=False):
            for slot in slots.values():
                builder.store(emission.square_root(builder, builder.load(slot)), slot)
        return {cell: builder.load(slot) for cell, slot in slots.items()}

    def recur(
        self, costs: dict[tuple[int, int], Any], state: Any, boundary: Any, choices: Any
    ) -> None:
        """Accumulate costs over the tile; note the steps taken if there are `choices`."""
        builder = self.builder
        slots = [self.at(state, k * self.lanes) for k in range(STATE_VECTORS)]
        memory = [emission.load(builder, slot, self.lanes) for slot in slots]
        last = memory[:ROWS_PER_LANE]
        diagonal = memory[ROWS_PER_LANE : 2 * ROWS_PER_LANE]
        above = memory[2 * ROWS_PER_LANE]
        waiting = dict(zip(LATE_CELLS, memory[2 * ROWS_PER_LANE + 1 :], strict=True))
        for step in range(COLUMNS):
            over = [above, *last[:-1]]
            for v in range(ROWS_PER_LANE):
                p = step - v
                cost = costs[v, p] if p >= 0 else waiting[v, p + COLUMNS]
                if choices is None:
                    best = emission.minimum_of_nonnegative(
                        builder, over[v], emission.minimum(builder, diagonal[v], last[v])
                    )
                else:
                    straight = emission.minimum(builder, over[v], last[v])
                    position = 2 * (step * ROWS_PER_LANE + v)
                    self.note(choices, position, diagonal[v], straight)
                    self.note(choices, position + 1, over[v], last[v])
                    best = emission.minimum(builder, diagonal[v], straight)
                last[v] = builder.fadd(cost, best)
            diagonal = over
            entering = builder.load(self.at(boundary, step + 1))
            above = emission.shift_down(
                builder, last[-1], emission.splat(builder, entering, self.lanes)
            )
            leaving = builder.extract_element(last[-1], ir.Constant(emission.INT32, 0))
            builder.store(leaving, self.at(boundary, step + 1 - COLUMNS * self.lanes))
        memory = [*last, *diagonal, above, *(costs[cell] for cell in LATE_CELLS)]
        for vector, slot in zip(memory, slots, strict=True):
            emission.store(builder, vector, slot)

    def note(self, choices: Any, position: int, preferred: Any, other: Any) -> None:
        """Store one bit per lane: whether the preferred neighbour is no worse."""
        builder = self.builder
        bits = emission.mask_bits(builder, builder.fcmp_ordered("<=", preferred, other))
        word = choices.type.pointee
        builder.store(
            bits if bits.type == word else builder.zext(bits, word), self.at(choices, position)
        )


def _intp(value: int) -> Any:
    return ir.Constant(cgutils.intp_t, value)


@intrinsic
def advance(
    typing_context, memory, state, rows, columns, fence, boundary, dimensions, metric, choices,
    choices_at, recording,
):  # fmt: skip
    """Advance a strip by one tile; five indices into the memory tell what is where."""
    # `fence` holds a vector per diagonal of the tile, 0 for lanes inside the band and infinity
    # outside. `boundary` is the row above the strip; its last row replaces it behind the tile.
    #
    # If `recording`, two words a cell of a lane go to `choices`, a bit per lane: the diagonal
    # step is no worse than the others; the step in x is no worse than that in y. Where nothing
    # is ever recorded, None in place of `choices` halves the code.

    def generate(context, builder, signature, arguments):
        def pointer(kind, array, index):
            return element_pointer(context, builder, kind, array, index)

        numbers, *indices, dimensions, metric, words, words_at, recording = arguments
        state, rows, columns, fence, boundary = (
            pointer(memory, numbers, index) for index in indices
        )
        tile = _Tile(builder, state.type.pointee, BYTES * 8 // memory.dtype.bitwidth)
        costs = tile.costs(rows, columns, dimensions, metric, fence)
        if choices is types.none:
            tile.recur(costs, state, boundary, None)
            return context.get_dummy_value()
        with builder.if_else(recording) as (then, otherwise):
            with then:
                tile.recur(costs, state, boundary, pointer(choices, words, words_at))
            with otherwise:
                tile.recur(costs, state, boundary, None)
        return context.get_dummy_value()

    intp = types.intp
    indices = [intp] * 5
    return types.void(memory, *indices, intp, intp, choices, intp, types.boolean), generate
