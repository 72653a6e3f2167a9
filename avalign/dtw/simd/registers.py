"""The rows and the state of a strip, between memory and the registers of the processor."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from avalign.dtw.simd import emission
from avalign.dtw.simd.vectors import VectorType, element_pointer

__all__ = [
    "STATE",
    "VECTORS",
    "copy_row",
    "load_rows",
    "load_state",
    "offset",
    "store_state",
]

# Enough independent vectors to hide the latency of the recurrence; few enough for rows and
# state to stay in registers, and for the corners that the skew wastes to stay small.
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

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
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
def store_state(typing_context: Any, array: Any, state: Any) -> Any:
    """Store the state of a strip in an array."""
    lanes = VectorType(array.dtype).lanes

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = element_pointer(context, builder, signature.args[0], arguments[0], _ZERO)
        for i in range(STATE):
            vector = builder.extract_value(arguments[1], i)
            emission.store(builder, vector, offset(builder, data, i * lanes))
        return context.get_dummy_value()

    return types.void(array, state), generate


@intrinsic
def copy_row(typing_context: Any, into: Any, source: Any, row: Any) -> Any:
    """Copy one row of a strip from an array in which its rows are laid out to another.

    The whole vector is stored, because the next step loads it: a processor forwards what is
    still on its way to memory only to loads of the same size.
    """
    lanes = VectorType(into.dtype).lanes

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
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
        new, old = (emission.load(builder, place, lanes) for place in (copied, pointer))
        emission.store(builder, builder.select(chosen, new, old), pointer)
        return context.get_dummy_value()

    return types.void(into, source, types.intp), generate
