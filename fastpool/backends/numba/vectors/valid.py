"""Which cells of tiles are valid, and what those are reduced to: extremes, truths, how many."""

from __future__ import annotations

from functools import reduce

from llvmlite import ir
from numba.core import types

from .halves import infinity_of
from .lanes import replaces, sort_key_of
from .types import broadcast, scalar_type, vector_type

_SIZE = 0x7FFF  # the bits of a 16-bit float but for its sign


def alike(vector, number):
    """A number in all lanes of vectors like one of them."""
    return ir.Constant(vector.type, [number] * vector.type.count)


def is_float(x):
    return isinstance(x.element, types.Float)


def is_nan(builder, cells, half):
    """The lanes of floats that are NaN."""
    if half:
        size = builder.and_(cells, alike(cells, _SIZE))
        return builder.icmp_signed(">", size, alike(cells, infinity_of(half)))
    return builder.fcmp_unordered("uno", cells, cells)


def is_zero(builder, cells, x, half):
    """The lanes that are zero, of either sign."""
    if half:
        cells = builder.and_(cells, alike(cells, _SIZE))
    elif is_float(x):
        return builder.fcmp_ordered("==", cells, alike(cells, 0.0))
    return builder.icmp_unsigned("==", cells, alike(cells, 0))


def number_of(builder, bits, element, lanes):
    """The number with these 64 bits, of which it may need fewer, in all lanes."""
    kind = scalar_type(element)
    if isinstance(element, types.Float):
        if element.bitwidth < 64:
            bits = builder.trunc(bits, ir.IntType(element.bitwidth))
        number = builder.bitcast(bits, kind)
    else:
        number = builder.trunc(bits, kind) if element.bitwidth < 64 else bits
    return broadcast(builder, number, lanes)


def present(builder, tile, x, taps, masks, bits, inside):
    """For each tap the lanes in which it is valid."""
    lanes, found = x.lanes, []
    nans, numbers = tile.missing & 1, tile.missing & 2
    number = number_of(builder, bits, x.element, lanes) if numbers else None
    if numbers and tile.half:
        zero = builder.icmp_unsigned("==", number, alike(number, 0))
        size = builder.select(zero, alike(number, _SIZE), alike(number, -1))
    for place, tap in enumerate(taps):
        tests = []
        if numbers:
            if tile.half:
                tests.append(builder.icmp_unsigned("!=", builder.and_(tap, size), number))
            elif is_float(x):
                compare = builder.fcmp_ordered if nans else builder.fcmp_unordered
                tests.append(compare("!=", tap, number))
            elif x.order.truth:
                truth = builder.icmp_unsigned("!=", tap, alike(tap, 0))
                wanted = builder.icmp_unsigned("!=", number, alike(number, 0))
                tests.append(builder.xor(truth, wanted))
            else:
                tests.append(builder.icmp_unsigned("!=", tap, number))
        if nans and (tile.half or (is_float(x) and not numbers)):
            tests.append(builder.not_(is_nan(builder, tap, tile.half)))
        if masks:
            tests.append(builder.icmp_unsigned("==", masks[place], alike(masks[place], 0)))
        if inside:
            tests.append(inside[place])
        found.append(reduce(builder.and_, tests))
    return found


def counted(builder, masks, kind):
    """How many masks have each lane, as vectors of some kind."""
    floats = not isinstance(kind.element, ir.IntType)
    number = 1.0 if floats else 1
    one, count = ir.Constant(kind, [number] * kind.count), ir.Constant(kind, None)
    add = builder.fadd if floats else builder.add
    for mask in masks:
        count = builder.select(mask, add(count, one), count)
    return count


def too_few(builder, masks, count, enough):
    """The lanes of fewer valid cells than are enough."""
    if count is None:
        count = counted(builder, masks, ir.VectorType(ir.IntType(8), masks[0].type.count))
    kind = count.type.element
    if isinstance(kind, ir.IntType):
        enough = builder.trunc(enough, kind) if kind.width < 64 else enough
        return builder.icmp_unsigned("<", count, broadcast(builder, enough, count.type.count))
    enough = broadcast(builder, builder.sitofp(enough, kind), count.type.count)
    return builder.fcmp_ordered("<", count, enough)


def filled(builder, output, values, lacks, bits):
    """Values, and a number in the lanes that lack some."""
    fill = number_of(builder, bits, output.element, output.lanes)
    return builder.select(lacks, fill, values)


def truths(builder, taps, x, output, half, present, some):
    """Whether some, or all, valid cells are not zero."""
    tests = [builder.not_(is_zero(builder, tap, x, half)) for tap in taps]
    join = builder.or_ if some else builder.and_
    if present:
        missing = present if some else [builder.not_(mask) for mask in present]
        with_missing = builder.and_ if some else builder.or_
        tests = [with_missing(*pair) for pair in zip(tests, missing, strict=True)]
    return builder.zext(reduce(join, tests), vector_type(output))


def extremes(builder, taps, x, sign, half, present):
    """The first extreme of the valid cells; a NaN beats all numbers."""
    order = x.order._replace(sign=sign)
    keys = taps
    if half:
        limit = alike(taps[0], infinity_of(half))
        keys = [sort_key_of(builder, tap, limit, order) for tap in taps]
    best, value = keys[0], taps[0]
    seen = present[0] if present else None
    for number in range(1, len(taps)):
        mask = replaces(builder, x.element, order, keys[number], best)
        if present:  # whatever is valid beats what is not
            mask = builder.and_(builder.or_(mask, builder.not_(seen)), present[number])
            seen = builder.or_(seen, present[number])
        best = builder.select(mask, keys[number], best)
        value = builder.select(mask, taps[number], value)
    return value
