"""The lower median of some vectors, lane by lane, by a network of minima and maxima."""

from __future__ import annotations

from functools import reduce

from llvmlite import ir

from ....rules.networks import network
from .types import vector_type
from .valid import alike, counted, is_float, is_nan, is_zero


def medians(builder, taps, x, half, present):
    """Of each lane the first tap of the lower median, and how many are valid.

    The network finds the value. Among zeros, and where there is a NaN, the taps are looked at
    again, as zeros of both signs are equal, and a NaN is the median of all that it is in.
    """
    keys, highest = _keys(builder, taps, x, half)
    if present:
        keys = [builder.select(mask, key, highest) for mask, key in zip(present, keys, strict=True)]
    last = (len(taps) - 1) // 2
    count = counted(builder, present, _counts_like(taps[0])) if present else None
    found = list(keys)
    ranks = range(last + 1) if present else (last,)
    for first, second, low, high in network(len(taps), ranks):
        less = _less(builder, x, half, found[second], found[first])
        a, b = found[first], found[second]
        if low:
            found[first] = builder.select(less, b, a)
        if high:
            found[second] = builder.select(less, a, b)
    middle = found[last]
    if present:  # of n valid ones, rank (n - 1) // 2
        middle = found[0]
        for rank in range(1, last + 1):
            more = builder.icmp_unsigned(">", count, alike(count, 2 * rank))
            middle = builder.select(more, found[rank], middle)

    def first_of(test):
        value = taps[-1]
        for number in reversed(range(len(taps))):
            mask = test(number)
            if present:
                mask = builder.and_(mask, present[number])
            value = builder.select(mask, taps[number], value)
        return value

    if x.order.truth:
        return first_of(lambda number: builder.icmp_unsigned("==", keys[number], middle)), count
    if not (half or is_float(x)):
        return middle, count
    nans = [is_nan(builder, tap, half) for tap in taps]
    if present:
        nans = [builder.and_(*pair) for pair in zip(nans, present, strict=True)]
    nan = reduce(builder.or_, nans)
    value = _flipped(builder, middle) if half else middle
    zero = is_zero(builder, value, x, half)
    doubtful = builder.bitcast(builder.or_(nan, zero), ir.IntType(x.lanes))
    before = builder.block
    with builder.if_then(builder.icmp_unsigned("!=", doubtful, doubtful.type(0)), likely=False):
        zeros = first_of(lambda number: is_zero(builder, taps[number], x, half))
        mended = builder.select(zero, zeros, value)
        mended = builder.select(nan, first_of(lambda number: nans[number]), mended)
        after = builder.block
    found = builder.phi(vector_type(x))
    found.add_incoming(value, before)
    found.add_incoming(mended, after)
    return found, count


def _keys(builder, taps, x, half):
    """What the network compares, and what is not less than any of it."""
    if x.order.truth:
        zero = alike(taps[0], 0)
        keys = [builder.zext(builder.icmp_unsigned("!=", tap, zero), tap.type) for tap in taps]
        return keys, alike(taps[0], 1)
    if half:
        return [_flipped(builder, tap) for tap in taps], alike(taps[0], 0x7FFF)
    if is_float(x):
        return taps, alike(taps[0], float("inf"))
    return taps, alike(taps[0], int(x.element.maxval))


def _flipped(builder, bits):
    """The bits of 16-bit floats as numbers in their order; and back."""
    sign = builder.ashr(bits, alike(bits, 15))
    return builder.xor(bits, builder.and_(sign, alike(bits, 0x7FFF)))


def _less(builder, x, half, first, second):
    if is_float(x):
        return builder.fcmp_ordered("<", first, second)
    signed = half or x.element.signed
    return (builder.icmp_signed if signed else builder.icmp_unsigned)("<", first, second)


def _counts_like(tap):
    """Integers in lanes as wide as those of a tap."""
    kind = tap.type.element
    width = {ir.FloatType(): 32, ir.DoubleType(): 64}.get(kind) or kind.width
    return ir.VectorType(ir.IntType(width), tap.type.count)
