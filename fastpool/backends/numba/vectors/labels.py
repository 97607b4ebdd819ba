"""The most frequent value of some vectors, lane by lane."""

from __future__ import annotations

from functools import reduce

from llvmlite import ir

# Up to so many taps a value that is there twice has won.
FEW = 4


def most_frequent(builder, taps, present, truth):
    """Of each lane the value that most taps have; of several the one whose first tap comes first.

    Parameters
    ----------
    builder : IRBuilder
        What writes the code.
    taps : list
        Vectors of integers.
    present : list or None
        For each tap the lanes in which it counts.
    truth : bool
        Whether integers are truth values, of which all but 0 are equal.
    """
    labels = taps
    if truth:
        zero = ir.Constant(taps[0].type, None)
        labels = [builder.zext(builder.icmp_unsigned("!=", tap, zero), tap.type) for tap in taps]

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
    one, none = ir.Constant(taps[0].type, [1] * taps[0].type.count), ir.Constant(taps[0].type, None)
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
