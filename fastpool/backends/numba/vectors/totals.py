"""Sums and means of some vectors, lane by lane, one tap after the other."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from .adding import result_of, summand
from .types import Vector, vector_type
from .valid import alike, counted

# Added to a float32 below 2**22 in magnitude, it leaves no place for a fraction.
_INTEGERS = 1.5 * 2.0**23
_WIDER: dict[Any, Any] = {
    types.int8: types.int16,
    types.uint8: types.uint16,
    types.int16: types.int32,
    types.uint16: types.uint32,
    types.int32: types.int64,
    types.uint32: types.uint64,
}


def totals(builder, taps, x, output, half, present, mean):
    """The sums of valid cells, or their means; and how many there are, if that was needed.

    What is not valid adds +0.0, which changes no sum that began with it.
    """
    floats = half or isinstance(x.element, types.Float)
    if floats:
        wide = types.float64 in (x.element, output.element)
        element: Any = types.float64 if wide else types.float32
    elif mean and (x.element.bitwidth > 16 or isinstance(output.element, types.Float)):
        element = types.float64
    else:
        element = x.element if x.order.truth else _WIDER.get(x.element, x.element)
    sums = Vector(element, x.lanes)
    kind = vector_type(sums)
    add = builder.fadd if isinstance(element, types.Float) else builder.add
    total, nothing = ir.Constant(kind, None), ir.Constant(kind, None)
    for number, tap in enumerate(taps):
        value = summand(builder, tap, x, sums, half)
        if present:
            value = builder.select(present[number], value, nothing)
        total = add(total, value)
    if not mean:
        return result_of(builder, total, element, output, half), None
    if not isinstance(element, types.Float):
        return _whole_means(builder, total, element, output, taps, present)
    count = counted(builder, present, kind) if present else alike(total, float(len(taps)))
    means = builder.fdiv(total, count)
    return result_of(builder, means, element, output, half), count if present else None


def _whole_means(builder, total, element, output, taps, present):
    """Sums of integers of up to 16 bits over their number, of two integers to the even one.

    In float32: a quotient is half of an odd number, or further from it than it is rounded.
    """
    lanes = output.lanes
    floats, word = ir.VectorType(ir.FloatType(), lanes), ir.VectorType(ir.IntType(32), lanes)
    convert = builder.sitofp if element.signed else builder.uitofp
    number = ir.Constant(floats, [float(len(taps))] * lanes)
    count = None
    if present:
        count = counted(builder, present, vector_type(output))
        number = builder.uitofp(count, floats)
    found = builder.fdiv(convert(total, floats), number)
    magic = ir.Constant(floats, [_INTEGERS] * lanes)
    bits = builder.bitcast(builder.fadd(found, magic), word)
    found = builder.sub(bits, builder.bitcast(magic, word))
    return builder.trunc(found, vector_type(output)), count
