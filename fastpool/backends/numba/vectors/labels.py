"""The most frequent value of some vectors, lane by lane."""

from __future__ import annotations

from functools import reduce

from llvmlite import ir

from .valid import alike, is_float, is_nan, is_zero

# Up to so many taps a value that is there twice has won.
FEW = 4


def labels_of(builder, taps, x, half):
    """Integers that are equal where cells are: truth values, zeros of both signs, and NaNs are."""
    if x.order.truth:
        zero = alike(taps[0], 0)
        return [builder.zext(builder.icmp_unsigned("!=", tap, zero), tap.type) for tap in taps]
    if not (half or is_float(x)):
        return taps
    width = x.element.bitwidth
    kind = ir.VectorType(ir.IntType(width), x.lanes)
    zero, nan = ir.Constant(kind, None), ir.Constant(kind, [-1] * x.lanes)
    found = []
    for tap in taps:
        bits = builder.bitcast(tap, kind)
        bits = builder.select(is_zero(builder, tap, x, half), zero, bits)
        found.append(builder.select(is_nan(builder, tap, half), nan, bits))
    return found


def most_frequent(builder, taps, labels, present):
    """Of each lane the value that most taps have; of several the one whose first tap comes first.

    Parameters
    ----------
    builder : IRBuilder
        What writes the code.
    taps : list
        Vectors of cells.
    labels : list
        For each of them integers, by which they are compared.
    present : list or None
        For each tap the lanes in which it is valid; None if it is in all.
    """

    def same(first, second):
        mask = builder.icmp_unsigned("==", labels[first], labels[second])
        return builder.and_(mask, present[second]) if present else mask

    if len(taps) <= FEW and not present:
        best = taps[0]
        for number in reversed(range(len(taps) - 1 if len(taps) > 2 else 0)):
            again = reduce(builder.or_, (same(number, k) for k in range(number + 1, len(taps))))
            best = builder.select(again, taps[number], best)
        return best
    # How many taps from a tap on have its value: less from its second tap on than from its first.
    one, none = alike(labels[0], 1), alike(labels[0], 0)
    best = most = None
    for number, tap in enumerate(taps):
        count = one
        for later in range(number + 1, len(taps)):
            count = builder.select(same(number, later), builder.add(count, one), count)
        if present:
            count = builder.select(present[number], count, none)
        if best is None:
            best, most = tap, count
            continue
        more = builder.icmp_unsigned(">", count, most)
        best, most = builder.select(more, tap, best), builder.select(more, count, most)
    return best
