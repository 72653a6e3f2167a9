"""Vectors of 512 bits as values inside compiled kernels: LLVM's instructions, lane by lane.

Numba has no vector types, and LLVM's vectoriser finds no parallelism in a recurrence.

    float64, int64: 8 lanes       | 7 | 6 | 5 | 4 | 3 | 2 | 1 | 0 |    array[at + lane]
    float32, int32: 16 lanes
    shift_down(a, entering)       | e0| a7| a6| a5| a4| a3| a2| a1|    a0 leaves

LLVM splits them where registers are narrower, with the same results. They can only be used
in compiled code, on C-contiguous arrays; an index counts elements from the start of the
array, whatever its rank, and nothing checks it.

>>> import numpy as np
>>> from avalign.dtw.compiled import njit
>>> from avalign.dtw.simd import vectors
>>> @njit
... def add_squares(x, y, out):
...     for i in range(0, x.size, vectors.LANES_FLOAT64):
...         difference = vectors.load(x, i) - vectors.load(y, i)
...         vectors.store(out, i, vectors.load(out, i) + difference * difference)
>>> total = np.zeros(16)
>>> add_squares(np.arange(16.0), np.ones(16), total)
>>> float(total[5])
16.0
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from avalign.dtw.simd import emission

BYTES = 64
LANES_FLOAT64 = 8
LANES_FLOAT32 = 16


class VectorType(types.Type):
    """Numba's type of a vector that fills 64 bytes; with boolean elements, a mask of lanes."""

    def __init__(self, element: Any, lanes: int | None = None) -> None:
        self.element = element
        self.lanes = lanes or BYTES * 8 // element.bitwidth
        super().__init__(name=f"Vector({element}, {self.lanes})")

    @property
    def mask(self) -> VectorType:
        """Type of what a comparison of two such vectors gives."""
        return VectorType(types.boolean, self.lanes)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: VectorType) -> None:
        if vector.element == types.boolean:
            element = ir.IntType(1)
        else:
            element = manager.lookup(vector.element).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Emit the address of an element of a contiguous array, by its flat index."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [at])


# Memory ---------------------------------------------------------------------------------


@intrinsic
def load(typing_context, array, index):
    """Load the vector that starts at a flat index of an array; it need not be aligned."""
    vector = VectorType(array.dtype)

    def generate(context, builder, signature, arguments):
        pointer = element_pointer(context, builder, signature.args[0], *arguments)
        return emission.load(builder, pointer, vector.lanes)

    return vector(array, types.intp), generate


@intrinsic
def store(typing_context, array, index, vector):
    """Store a vector from a flat index of an array on; it need not be aligned."""

    def generate(context, builder, signature, arguments):
        pointer = element_pointer(context, builder, signature.args[0], *arguments[:2])
        emission.store(builder, arguments[2], pointer)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def unaligned(typing_context, array):
    """Return how many elements of an array lie before the first boundary of a vector."""

    def generate(context, builder, signature, arguments):
        (array_type,) = signature.args
        data = context.make_array(array_type)(context, builder, arguments[0]).data
        address = builder.ptrtoint(data, ir.IntType(64))
        missing = builder.and_(builder.neg(address), ir.Constant(address.type, BYTES - 1))
        size = ir.Constant(address.type, array_type.dtype.bitwidth // 8)
        return builder.udiv(missing, size)

    return types.intp(array), generate


@intrinsic
def splat(typing_context, scalar):
    """Fill all lanes with a scalar."""
    vector = VectorType(scalar)

    def generate(context, builder, signature, arguments):
        return emission.splat(builder, arguments[0], vector.lanes)

    return vector(scalar), generate


@intrinsic
def extract(typing_context, vector, lane):
    """Return one lane as a scalar."""

    def generate(context, builder, signature, arguments):
        return builder.extract_element(*arguments)

    return vector.element(vector, types.intp), generate


# Lane by lane ---------------------------------------------------------------------------


def lanewise(emit: Callable[..., Any], operands: int) -> Any:
    """Make an intrinsic of an emission whose operands and result have one type."""

    def generate(context, builder, signature, arguments):
        return emit(builder, *arguments)

    # An intrinsic's definition must name its parameters.
    if operands == 1:
        return intrinsic(lambda typing_context, a: (a(a), generate))
    if operands == 2:
        return intrinsic(lambda typing_context, a, b: (a(a, a), generate))
    return intrinsic(lambda typing_context, a, b, c: (a(a, a, a), generate))


minimum = lanewise(emission.minimum, 2)
minimum_of_nonnegative = lanewise(emission.minimum_of_nonnegative, 2)
absolute = lanewise(emission.absolute, 1)
fused_multiply_add = lanewise(emission.fused_multiply_add, 3)
shift_down = lanewise(emission.shift_down, 2)


@intrinsic
def less(typing_context, a, b):
    """Compare each lane; the result is a mask for :func:`select`."""

    def generate(context, builder, signature, arguments):
        return builder.fcmp_ordered("<", *arguments)

    return a.mask(a, a), generate


@intrinsic
def select(typing_context, mask, a, b):
    """Return `a` in the lanes where the mask is set, and `b` in the others."""

    def generate(context, builder, signature, arguments):
        return builder.select(*arguments)

    return a(mask, a, a), generate


def _register_operator(function: Any, instruction: str) -> None:
    """Let two vectors of floats of one type meet in an arithmetic operator."""

    @type_callable(function)
    def type_operator(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            return a if isinstance(a, VectorType) and a == b else None

        return typer

    @lower_builtin(function, VectorType, VectorType)
    def lower_operator(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments)


_register_operator(operator.add, "fadd")
_register_operator(operator.sub, "fsub")
_register_operator(operator.mul, "fmul")
