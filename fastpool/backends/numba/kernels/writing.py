"""Rows of cells on their way out of the scratch, past the caches where there are many.

A vector that is written past the caches is a whole line, or everything waits for the rest of it:
rows of 224 float32 that begin within a line took six times as long. So rows that follow each other
in memory go out as one stream, whose first and last line alone may be parts.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..vectors.halves import rounded
from ..vectors.memory import (
    address_of,
    bytes_of,
    cells_at,
    lanes,
    load,
    shifted,
    splat,
    store,
    store_inside,
    store_past,
)

LINE = 64  # bytes of a line of the caches


@inlined
def write_out(output, cells, count, past, half):
    """Copy cells to the output, rounded to `half`: whole vectors past the caches, if `past`."""
    many, size, begin = lanes(output), bytes_of(output), 0
    if past:
        begin = -(address_of(output) % (many * size) // size)
    if begin < 0:  # what lies before the cells is not written
        store_inside(output, begin, count, rounded(load(cells, begin), output, half))
        begin += many
    for j in range(begin, count - many + 1, many):
        vector = rounded(load(cells, j), output, half)
        if past:
            store_past(output, j, vector)
        else:
            store(output, j, vector)
    done = begin + max(0, (count - begin) // many) * many
    if done < count:
        store_inside(output, done, count, rounded(load(cells, done), output, half))


@inlined
def write_rows(output, cells, count, length, step, past, half):
    """Copy rows of some length, one behind the other, to rows a step apart."""
    if step == length:
        write_out(output, cells, count * length, past, half)
        return
    for number in range(count):
        to, of = shifted(output, number * step), shifted(cells, number * length)
        write_out(to, of, length, past, half)


@inlined
def move(scratch, to, of, size):
    """Copy bytes, whole vectors of them, to a lower address."""
    for at in range(0, size, lanes(scratch)):
        store(cells_at(to + at, scratch), 0, load(cells_at(of + at, scratch), 0))


@inlined
def clear(scratch, to, size):
    """Set bytes to zero, whole vectors of them."""
    for at in range(0, size, lanes(scratch)):
        store(cells_at(to + at, scratch), 0, splat(0, scratch))
