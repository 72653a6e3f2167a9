"""A strip of rows between memory and registers: see `univariate.wavefront`.

Rows are VECTORS vectors of values; the state between two steps is | newest | older | entered |.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from avalign.dtw.simd import emission
from avalign.dtw.simd.vectors import VectorType, element_pointer

# Enough to hide the latency of the recurrence, few enough for rows and state to stay in
# registers and for the corners that the skew wastes to stay small.
VECTORS = 6
STATE = 2 * VECTORS + 1

_INT64 = ir.IntType(64)
_ZERO = ir.Constant(_INT64, 0)


def offset(builder: Any, pointer: Any, elements: int) -> Any:
    """Emit the address of what lies some elements behind a pointer."""
    return builder.gep(pointer, [ir.Constant(_INT64, elements)])


def _loader(count: int) -> Any:
    """Make an intrinsic that loads `count` consecutive vectors as a tuple."""

    def load(typing_context: Any, array: Any) -> Any:
        vector = VectorType(array.dtype)
        result = types.UniTuple(vector, count)

        def generate(context, builder, signature, arguments):
            (array_type,) = signature.args
            data = element_pointer(context, builder, array_type, arguments[0], _ZERO)
            loaded = [
                emission.load(builder, offset(builder, data, i * vector.lanes), vector.lanes)
                for i in range(count)
            ]
            return context.make_tuple(builder, result, loaded)

        return result(array), generate

    return intrinsic(load)


load_rows = _loader(VECTORS)
load_state = _loader(STATE)


@intrinsic
def store_state(typing_context, array, state):
    """Store the state of a strip in an array."""
    lanes = VectorType(array.dtype).lanes

    def generate(context, builder, signature, arguments):
        data = element_pointer(context, builder, signature.args[0], arguments[0], _ZERO)
        for i in range(STATE):
            vector = builder.extract_value(arguments[1], i)
            emission.store(builder, vector, offset(builder, data, i * lanes))
        return context.get_dummy_value()

    return types.void(array, state), generate


@intrinsic
def copy_row(typing_context, into, source, row):
    """Copy one row of a strip from one array of rows to another."""
    lanes = VectorType(into.dtype).lanes

    def generate(context, builder, signature, arguments):
        row = arguments[2]
        count = ir.Constant(row.type, VECTORS)
        start = builder.mul(builder.urem(row, count), ir.Constant(row.type, lanes))
        pointer, copied = (
            element_pointer(context, builder, array_type, array, start)
            for array_type, array in zip(signature.args[:2], arguments[:2], strict=True)
        )
        lane = builder.sub(ir.Constant(row.type, lanes - 1), builder.udiv(row, count))
        numbers = emission.constant(row.type, range(lanes))
        chosen = builder.icmp_signed("==", numbers, emission.splat(builder, lane, lanes))
        new, old = (emission.load(builder, address, lanes) for address in (copied, pointer))
        # The whole vector: a processor forwards a store on its way to loads of its size only.
        emission.store(builder, builder.select(chosen, new, old), pointer)
        return context.get_dummy_value()

    return types.void(into, source, types.intp), generate
