"""Numbers far outside the range of floats: vectors of mantissas, vectors of exponents.

    number = mantissa * 2**exponent, both floats, the exponent integral; 0 = 0 * 2**-inf

Sums of products of ``exp(-cost / gamma)`` leave the range of any float. Their logarithms
would take three exponentials and a logarithm per cell; here one exponential, of the cost,
remains: products are a multiplication and an addition, and powers of two align sums exactly.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from avalign.dtw.compiled import njit
from avalign.dtw.simd import emission
from avalign.dtw.simd.vectors import lanewise, less, select

# Chebyshev expansions of 2**x over [-1/2, 1/2], as coefficients of x**0, x**1, ... Their
# relative errors, 3e-18 and 2e-9, vanish in the rounding.
EXP2_FLOAT64 = (
    1.0, 0.6931471805599453, 0.24022650695910158,
    0.055504108664821625, 0.009618129107587256, 0.001333355814640647,
    0.00015403530463724353, 1.5252733841556773e-05, 1.3215432535912375e-06,
    1.0178057087733941e-07, 7.074194297288521e-09, 4.4558179083360645e-10,
)  # fmt: skip
EXP2_FLOAT32 = (
    1.0, 0.6931471824645996, 0.24022650718688965,
    0.05550327152013779, 0.009618056938052177, 0.0013400427997112274,
    0.00015461444854736328,
)  # fmt: skip


class _Format:
    """The bits of a float, as LLVM types and numbers."""

    def __init__(self, vector: Any) -> None:
        double = isinstance(vector.element, ir.DoubleType)
        self.lanes = vector.count
        self.floats = vector
        self.fraction_bits = 52 if double else 23
        self.bias = 1023 if double else 127
        self.bits = ir.VectorType(ir.IntType(64 if double else 32), vector.count)
        self.exp2 = EXP2_FLOAT64 if double else EXP2_FLOAT32
        # Added to a small integer, it brings the integer into the lowest bits.
        self.shifter = 2.0**self.fraction_bits

    def float(self, value: float) -> Any:
        return emission.constant(self.floats.element, [value] * self.lanes)

    def integer(self, value: int) -> Any:
        return emission.constant(self.bits.element, [value] * self.lanes)


def _emit_exp2_of_fraction(builder: Any, x: Any) -> Any:
    form = _Format(x.type)
    result = form.float(form.exp2[-1])
    for coefficient in form.exp2[-2::-1]:
        result = emission.fused_multiply_add(builder, result, x, form.float(coefficient))
    return result


def _emit_power_of_two(builder: Any, exponent: Any) -> Any:
    # An exponent field of 0 with a fraction of 0 is the number 0.
    form = _Format(exponent.type)
    lowest = form.float(-form.bias)
    above = builder.fcmp_ordered(">", exponent, lowest)
    field = builder.fadd(
        builder.select(above, exponent, lowest), form.float(form.shifter + form.bias)
    )
    bits = builder.shl(builder.bitcast(field, form.bits), form.integer(form.fraction_bits))
    return builder.bitcast(bits, form.floats)


def _emit_mantissa(builder: Any, x: Any) -> Any:
    form = _Format(x.type)
    fraction = builder.and_(
        builder.bitcast(x, form.bits), form.integer((1 << form.fraction_bits) - 1)
    )
    one = form.integer(form.bias << form.fraction_bits)
    return builder.bitcast(builder.or_(fraction, one), form.floats)


def _emit_exponent(builder: Any, x: Any) -> Any:
    form = _Format(x.type)
    field = builder.lshr(builder.bitcast(x, form.bits), form.integer(form.fraction_bits))
    shifter = form.integer((form.bias + form.fraction_bits) << form.fraction_bits)
    shifted = builder.bitcast(builder.or_(field, shifter), form.floats)
    return builder.fsub(shifted, form.float(form.shifter + form.bias))


_round = lanewise(emission.nearest_integer, 1)
_exp2_of_fraction = lanewise(_emit_exp2_of_fraction, 1)
_mantissa = lanewise(_emit_mantissa, 1)
_exponent = lanewise(_emit_exponent, 1)
# 2**x of integral x up to 1023 (float64) or 127 (float32); 0 where that is too small.
power_of_two = lanewise(_emit_power_of_two, 1)


@njit(forceinline=True)
def exp2(x):
    """Return 2**x for finite x of any size, as mantissa in [0.7, 1.42] and exponent."""
    exponent = _round(x)
    return _exp2_of_fraction(x - exponent), exponent


@njit(forceinline=True)
def normalise(mantissa, exponent):
    """Bring a positive mantissa into [1, 2), without changing the number."""
    return _mantissa(mantissa), exponent + _exponent(mantissa)


@njit(forceinline=True)
def sum_of_three(a, a_exponent, b, b_exponent, c, c_exponent):
    """Add three numbers, not all of them 0; the result is not normalised."""
    larger = select(less(a_exponent, b_exponent), b_exponent, a_exponent)
    exponent = select(less(larger, c_exponent), c_exponent, larger)
    total = (
        a * power_of_two(a_exponent - exponent)
        + b * power_of_two(b_exponent - exponent)
        + c * power_of_two(c_exponent - exponent)
    )
    return total, exponent
