"""16-bit floats in vectors of 32-bit ones, and back, in integer arithmetic: it is everywhere.

A `half` is the number of bits of its mantissa: 10 of float16, 7 of bfloat16; 0 for other types,
which stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from ....rules.arrays import is_half
from .types import INT32, Vector, constants, operation, vector_type

_FLOAT16 = 10


def mantissa(dtype: np.dtype[Any]) -> int:
    """The bits of the mantissa of a 16-bit float; 0 of other types."""
    if not is_half(dtype):
        return 0
    return _FLOAT16 if dtype == np.float16 else 7


def infinity_of(half: int) -> int:
    """The bits of infinity."""
    return 0x7FFF >> half << half


def single_of(builder, values, half):
    """`single`, written in LLVM's language."""
    lanes = values.type.count

    def number(value):
        return constants(lanes, INT32, [value] * lanes)

    word, floats = ir.VectorType(INT32, lanes), ir.VectorType(ir.FloatType(), lanes)
    bits = builder.zext(values, word)
    if half != _FLOAT16:
        return builder.bitcast(builder.shl(bits, number(16)), floats)
    sign = builder.shl(builder.and_(bits, number(0x8000)), number(16))
    moved = builder.shl(builder.and_(bits, number(0x7FFF)), number(13))
    exponent = builder.and_(moved, number(0x1F << 23))
    # Exponents of float32 are 112 larger; that of infinity is another 112 larger.
    normal = builder.add(moved, number(112 << 23))
    top = builder.icmp_unsigned("==", exponent, number(0x1F << 23))
    normal = builder.select(top, builder.add(normal, number(112 << 23)), normal)
    # Below 2**-14: so much more than 2**-14, less that.
    least = number(113 << 23)
    small = builder.bitcast(builder.add(moved, least), floats)
    small = builder.fsub(small, builder.bitcast(least, floats))
    tiny = builder.icmp_unsigned("==", exponent, number(0))
    found = builder.select(tiny, builder.bitcast(small, word), normal)
    return builder.bitcast(builder.or_(found, sign), floats)


@operation
def single(typing, vector, half):
    """16-bit floats as float32: exact."""
    if not half.literal_value:
        return vector(vector, half), lambda context, builder, sig, arguments: arguments[0]

    def generate(context, builder, signature, arguments):
        return single_of(builder, arguments[0], half.literal_value)

    return Vector(types.float32, vector.lanes)(vector, half), generate


def rounded_bits(builder, values, half):
    """`rounded`, written in LLVM's language: the bits, in 32."""
    lanes = values.type.count

    def number(value):
        return constants(lanes, INT32, [value] * lanes)

    word, floats = ir.VectorType(INT32, lanes), values.type
    shift = 23 - half
    bits = builder.bitcast(values, word)
    sign = builder.and_(builder.lshr(bits, number(16)), number(0x8000))
    size = builder.and_(bits, number(0x7FFFFFFF))
    odd = builder.and_(builder.lshr(size, number(shift)), number(1))
    found = builder.add(builder.add(size, odd), number((1 << shift - 1) - 1))
    if half == _FLOAT16:
        found = builder.sub(found, number(112 << 23))
    found = builder.lshr(found, number(shift))
    infinity = infinity_of(half)
    if half == _FLOAT16:
        # Below 2**-14, the sum with 0.5 is rounded to the last bit that float16 has there.
        magic = number(126 << 23)
        small = builder.fadd(builder.bitcast(size, floats), builder.bitcast(magic, floats))
        small = builder.sub(builder.bitcast(small, word), magic)
        tiny = builder.icmp_unsigned("<", size, number(113 << 23))
        found = builder.select(tiny, small, found)
        large = builder.icmp_unsigned(">=", size, number(143 << 23))
        found = builder.select(large, number(infinity), found)
    nan = builder.icmp_unsigned(">", size, number(0xFF << 23))
    quiet = number(infinity | 1 << half - 1)
    if half == _FLOAT16:  # as NumPy does; bfloat16 has one quiet NaN of each sign
        payload = builder.and_(builder.lshr(size, number(shift)), number(0x3FF))
        quiet = builder.or_(quiet, payload)
    return builder.or_(builder.select(nan, quiet, found), sign)


@operation
def rounded(typing, vector, cells, half):
    """Float32 as the 16-bit floats of some cells: the nearest one, of two the even one."""
    if not half.literal_value:
        return vector(vector, cells, half), lambda context, builder, sig, arguments: arguments[0]

    def generate(context, builder, signature, arguments):
        bits = rounded_bits(builder, arguments[0], half.literal_value)
        return builder.trunc(bits, vector_type(cells.vector))

    return cells.vector(vector, cells, half), generate


@operation
def plus_zero(typing, vector, half):
    """16-bit floats, as if 0.0 had been added in float32: -0.0 is 0.0, and a NaN is quiet."""
    if not half.literal_value:
        return vector(vector, half), lambda context, builder, sig, arguments: arguments[0]
    infinity = infinity_of(half.literal_value)
    quiet = infinity | 1 << half.literal_value - 1

    def generate(context, builder, signature, arguments):
        (bits, _), kind = arguments, arguments[0].type

        def number(value):
            return ir.Constant(kind, [value] * vector.lanes)

        size = builder.and_(bits, number(0x7FFF))
        negative = builder.icmp_unsigned("==", bits, number(-0x8000))
        found = builder.select(negative, number(0), bits)
        kept = bits if half.literal_value == _FLOAT16 else builder.and_(bits, number(-0x8000))
        nan = builder.icmp_unsigned(">", size, number(infinity))
        return builder.select(nan, builder.or_(kept, number(quiet)), found)

    return vector(vector, half), generate
