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
    if len(taps) <= FEW and not present:
        best = taps[0]
        for number in reversed(range(len(taps) - 1 if len(taps) > 2 else 0)):
            again = [builder.icmp_unsigned("==", labels[number], k) for k in labels[number + 1 :]]
            again = reduce(builder.or_, again)
            best = builder.select(again, taps[number], best)
        return best
    if present:
        return _counted(builder, taps, labels, present)
    # Most tiles of label images have one value alone: 0.8 to 1.0 of the time, of noise as well.
    apart = reduce(builder.or_, [builder.xor(label, labels[0]) for label in labels[1:]])
    mask = builder.icmp_unsigned("!=", apart, alike(apart, 0))
    word = builder.bitcast(mask, ir.IntType(mask.type.count))
    before = builder.block
    with builder.if_then(builder.icmp_unsigned("!=", word, word.type(0))):
        found = _counted(builder, taps, labels, None)
        after = builder.block
    value = builder.phi(taps[0].type)
    value.add_incoming(taps[0], before)
    value.add_incoming(found, after)
    return value


def _counted(builder, taps, labels, present):
    """The same, by how many taps from each on have its value.

    There are fewer from the second tap of a value on than from its first.
    """
    one, none = alike(labels[0], 1), alike(labels[0], 0)
    best = most = None
    for number, tap in enumerate(taps):
        count = one
        for later in range(number + 1, len(taps)):
            same = builder.icmp_unsigned("==", labels[number], labels[later])
            if present:
                same = builder.and_(same, present[later])
            count = builder.select(same, builder.add(count, one), count)
        if present:
            count = builder.select(present[number], count, none)
        if best is None:
            best, most = tap, count
            continue
        more = builder.icmp_unsigned(">", count, most)
        best, most = builder.select(more, tap, best), builder.select(more, count, most)
    return best
