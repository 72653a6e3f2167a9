"""Whole parts of the memory of the kernels on vector series."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from avalign.dtw.simd.vectors import BYTES, element_pointer


@intrinsic
def align(typing_context, memory):
    """Leave out the start of an array, so that no vector straddles two lines of the cache."""

    def generate(context, builder, signature, arguments):
        # Up to a vector less one number. NumPy takes a microsecond to tell an address.
        array = context.make_array(memory)(context, builder, arguments[0])
        address = builder.ptrtoint(array.data, cgutils.intp_t)
        up = builder.add(address, ir.Constant(cgutils.intp_t, BYTES - 1))
        down = builder.and_(up, ir.Constant(cgutils.intp_t, -BYTES))
        array.data = builder.inttoptr(down, array.data.type)
        return impl_ret_borrowed(context, builder, memory, array._getvalue())

    return memory(memory), generate


@intrinsic
def copy(typing_context, memory, source, target, count):
    """Copy numbers from one part of an array to another, which it does not overlap."""

    def generate(context, builder, signature, arguments):
        array, *indices, count = arguments
        start, end = (
            element_pointer(context, builder, signature.args[0], array, index)
            for index in indices
        )
        cgutils.raw_memcpy(builder, end, start, count, memory.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(memory, types.intp, types.intp, types.intp), generate


@intrinsic
def fill(typing_context, memory, start, count, value):
    """Set numbers of one part of an array to a value."""

    def generate(context, builder, signature, arguments):
        array, start, count, value = arguments
        first = element_pointer(context, builder, signature.args[0], array, start)
        with cgutils.for_range(builder, count) as loop:
            builder.store(value, builder.gep(first, [loop.index]))
        return context.get_dummy_value()

    return types.void(memory, types.intp, types.intp, memory.dtype), generate
