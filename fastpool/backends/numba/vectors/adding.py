"""Cells made what they are summed in, and sums made what is written."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types

from .halves import rounded_bits, single_of
from .types import INT64, Vector, broadcast, constants, operation, resized, scalar_type, vector_type

# What becomes of sums: they are multiplied with a number, divided by it, or shifted, by what is
# beyond the last of these.
MULTIPLIED, DIVIDED, SHIFTED = 1, 2, 3
# What `rounded_quotient` is told besides.
WIDE = 64

# Added to a float64 below 2**51 in magnitude, it leaves no place for a fraction: the sum is rounded
# to the nearest integer, of two to the even one, which stands in its last bits.
_INTEGERS = 1.5 * 2.0**52


def summand(builder, values, cells, target, half):
    """`as_sum`, written in LLVM's language."""
    element = cells.element
    kind = vector_type(target)
    if cells.order.truth:
        truths = builder.icmp_unsigned("!=", values, ir.Constant(values.type, None))
        return builder.zext(truths, kind)
    if half:
        values, element = single_of(builder, values, half), types.float32
    if isinstance(element, types.Float):
        return values if element is target.element else builder.fpext(values, kind)
    if isinstance(target.element, types.Float):
        convert = builder.sitofp if element.signed else builder.uitofp
        return convert(values, kind)
    return resized(builder, values, element, target)


def quotient_of(builder, sums, target, divisors):
    """Sums over divisors, which are floats; without divisors, the sums as they are divided."""
    if not isinstance(target.element, types.Float):
        sums = builder.sitofp(sums, divisors.type)
    return builder.fdiv(sums, divisors)


def multiple_of(builder, values, vector, bits, divided):
    """Floats times the number with these bits, or over it."""
    number = builder.bitcast(bits, ir.DoubleType())
    if vector.element is types.float32:
        number = builder.fptrunc(number, ir.FloatType())
    number = broadcast(builder, number, vector.lanes)
    return builder.fdiv(values, number) if divided == DIVIDED else builder.fmul(values, number)


def result_of(builder, values, element, cells, half):
    """Sums or quotients of some type, rounded to that of cells."""
    kind = vector_type(cells.vector)
    lanes = values.type.count
    if half:
        return builder.trunc(rounded_bits(builder, values, half), kind)
    if isinstance(cells.element, types.Float):
        if isinstance(element, types.Float):
            return values if values.type == kind else builder.fptrunc(values, kind)
        convert = builder.sitofp if element.signed else builder.uitofp
        return convert(values, kind)
    if isinstance(element, types.Float):
        magic = constants(lanes, ir.DoubleType(), [_INTEGERS] * lanes)
        word = ir.VectorType(INT64, lanes)
        bits = builder.bitcast(builder.fadd(values, magic), word)
        values = builder.sub(bits, builder.bitcast(magic, word))
        element = types.int64
    return resized(builder, values, element, cells.vector)


@operation
def as_sum(typing, vector, sums, half):
    """Cells as they are summed."""
    target = sums.vector

    def generate(context, builder, signature, arguments):
        return summand(builder, arguments[0], vector, target, half.literal_value)

    return Vector(target.element, vector.lanes)(vector, sums, half), generate


@operation
def as_result(typing, sums, divisors, cells, half, divide):
    """Sums, divided if that is wanted, as the cells that are written.

    Integers become the nearest one, of two the even one; quotients are below 2**51.
    """
    element = sums.element

    def generate(context, builder, signature, arguments):
        values, numbers, *_ = arguments
        kind = element
        if divide.literal_value:
            values = quotient_of(builder, values, sums, numbers)
            kind = divisors.element
        return result_of(builder, values, kind, cells, half.literal_value)

    return cells.vector(sums, divisors, cells, half, divide), generate


@operation
def rounded_quotient(typing, sums, bits, cells, divided):
    """Sums of integers times, or over, the float64 with these bits: the nearest integer, as cells.

    `divided` is what is done, and 64 more where float64 is needed: float32 holds sums below 2**22.
    """
    element, narrow = sums.element, divided.literal_value < WIDE
    made = Vector(types.float32 if narrow else types.float64, sums.lanes)

    def generate(context, builder, signature, arguments):
        convert = builder.sitofp if element.signed else builder.uitofp
        values = convert(arguments[0], vector_type(made))
        values = multiple_of(builder, values, made, arguments[1], divided.literal_value % WIDE)
        if not narrow:
            return result_of(builder, values, made.element, cells, 0)
        magic = constants(sums.lanes, ir.FloatType(), [1.5 * 2.0**23] * sums.lanes)
        word = ir.VectorType(ir.IntType(32), sums.lanes)
        found = builder.bitcast(builder.fadd(values, magic), word)
        found = builder.sub(found, builder.bitcast(magic, word))
        return resized(builder, found, types.int32, cells.vector)

    return cells.vector(sums, types.int64, cells, divided), generate


@operation
def passed_on(typing, vector, bits, divided):
    """Floats times, or over, the float64 with these bits; see `summing`. Or as they are."""

    def generate(context, builder, signature, arguments):
        values, number, _ = arguments
        if not divided.literal_value:
            return values
        return multiple_of(builder, values, vector, number, divided.literal_value)

    return vector(vector, bits, divided), generate


@operation
def zero_of(typing, cells):
    """Zero, as a cell."""
    kind = scalar_type(cells.element)
    return cells.element(cells), lambda context, *_: ir.Constant(kind, 0)
