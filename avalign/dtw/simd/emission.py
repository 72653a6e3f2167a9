"""LLVM instructions for vectors, given an llvmlite builder: what the kernels are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import binding, ir
from numba.core import config

INT32 = ir.IntType(32)


def _has_avx512() -> bool:
    """Tell whether the machine that numba compiles for has AVX-512."""
    if config.CPU_FEATURES is not None:
        return "+avx512f" in config.CPU_FEATURES
    return bool(binding.get_host_cpu_features().get("avx512f", False))


HAS_AVX512 = _has_avx512()


def load(builder: Any, pointer: Any, lanes: int) -> Any:
    """Load a vector from a pointer to its first element, aligned or not."""
    element = pointer.type.pointee
    address = builder.bitcast(pointer, ir.VectorType(element, lanes).as_pointer())
    return builder.load(address, align=_width(element) // 8)


def store(builder: Any, vector: Any, pointer: Any) -> None:
    """Store a vector to a pointer to its first element, aligned or not."""
    address = builder.bitcast(pointer, vector.type.as_pointer())
    builder.store(vector, address, align=_width(vector.type.element) // 8)


def splat(builder: Any, scalar: Any, lanes: int) -> Any:
    """Fill all lanes with a scalar."""
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, first, _order([0] * lanes))


def constant(element: Any, values: Sequence[float]) -> Any:
    """Return a vector of constants."""
    return ir.Constant(ir.VectorType(element, len(values)), list(values))


def minimum(builder: Any, a: Any, b: Any) -> Any:
    """Take the lesser of each lane, and that of `b` where they are equal or not ordered."""
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def minimum_of_nonnegative(builder: Any, a: Any, b: Any) -> Any:
    """Take the lesser of each lane of floats without a sign, none of them NaN."""
    # Such floats are in the order of their bits, which AVX-512 compares with less latency.
    if not HAS_AVX512:
        return minimum(builder, a, b)
    # Selecting the bits as well is what LLVM knows as one instruction.
    x, y = _as_bits(builder, a), _as_bits(builder, b)
    return builder.bitcast(builder.select(builder.icmp_signed("<", x, y), x, y), a.type)


def less_of_nonnegative(builder: Any, a: Any, b: Any) -> Any:
    """Compare each lane of floats without a sign, none of them NaN, as cheaply as it goes."""
    if not HAS_AVX512:
        return builder.fcmp_ordered("<", a, b)
    return builder.icmp_signed("<", _as_bits(builder, a), _as_bits(builder, b))


def absolute(builder: Any, a: Any) -> Any:
    """Clear the sign of each lane."""
    bits = _as_bits(builder, a)
    all_but_sign = (1 << (bits.type.element.width - 1)) - 1
    mask = constant(bits.type.element, [all_but_sign] * bits.type.count)
    return builder.bitcast(builder.and_(bits, mask), a.type)


def fused_multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return `a * b + c` with one rounding."""
    return _call(builder, "fma", a, b, c)


def square_root(builder: Any, a: Any) -> Any:
    """Return the square root of each lane, correctly rounded."""
    return _call(builder, "sqrt", a)


def nearest_integer(builder: Any, a: Any) -> Any:
    """Round each lane to an integer, halves to even."""
    return _call(builder, "rint", a)


def shift_down(builder: Any, a: Any, entering: Any) -> Any:
    """Move each lane to the one below; lane 0 of `entering` becomes the last lane."""
    return builder.shuffle_vector(a, entering, _order(range(1, a.type.count + 1)))


def mask_bits(builder: Any, mask: Any) -> Any:
    """Return a mask as an integer with as many bits, lane 0 the lowest."""
    return builder.bitcast(mask, ir.IntType(mask.type.count))


def _call(builder: Any, operation: str, *vectors: Any) -> Any:
    """Call one of LLVM's intrinsic operations on vectors of one type."""
    vector = vectors[0].type
    name = f"llvm.{operation}.v{vector.count}f{_width(vector.element)}"
    function = builder.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(vector, [vector] * len(vectors))
        function = ir.Function(builder.module, signature, name)
    return builder.call(function, vectors)


def _order(lanes: Sequence[int]) -> Any:
    return constant(INT32, list(lanes))


def _width(element: Any) -> int:
    if isinstance(element, ir.DoubleType):
        return 64
    if isinstance(element, ir.FloatType):
        return 32
    return int(element.width)


def _as_bits(builder: Any, vector: Any) -> Any:
    bits = ir.VectorType(ir.IntType(_width(vector.type.element)), vector.type.count)
    return builder.bitcast(vector, bits)
