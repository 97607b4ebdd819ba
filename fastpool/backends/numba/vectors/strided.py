"""Cells a stride apart: vectors of them, picked from as many vectors side by side."""

from __future__ import annotations

from numba.core import types

from .memory import call_masked, lanes_inside, pointer_to
from .types import INT32, INT64, broadcast, constants, operation, vector_type


def every(builder, vectors, stride, first=0):
    """The cells a stride apart of as many vectors that follow each other, from the `first` on."""
    lanes = vectors[0].type.count
    starts = range(0, stride * lanes, lanes)
    return picked(builder, vectors, starts, [lane * stride + first for lane in range(lanes)])


def picked(builder, vectors, starts, places):
    """The cells at some places, as many as a vector has, from as few vectors as hold them all.

    The vectors begin at `starts`, in order.
    """
    lanes = vectors[0].type.count
    chosen: list[int] = []
    for place in sorted(places):
        if not chosen or place >= starts[chosen[-1]] + lanes:
            chosen.append(max(number for number, start in enumerate(starts) if start <= place))
    holders = [next(n for n in chosen if place < starts[n] + lanes) for place in places]
    found = vectors[chosen[0]]
    for turn, number in enumerate(chosen[1:] or chosen):
        mask = []
        for lane, (place, holder) in enumerate(zip(places, holders, strict=True)):
            if holder == number:
                lane = lanes + place - starts[number]
            elif turn == 0:
                lane = place - starts[holder] if holder == chosen[0] else 0
            mask.append(lane)
        found = builder.shuffle_vector(found, vectors[number], constants(lanes, INT32, mask))
    return found


@operation
def load_every(typing, cells, offset, stride):
    """The cells from `offset` on that are a constant stride apart."""

    def generate(context, builder, signature, arguments):
        kind, vectors = vector_type(cells.vector), []
        for number in range(stride.literal_value):
            at = builder.add(arguments[1], INT64(number * cells.lanes))
            pointer = pointer_to(builder, arguments[0], at, kind)
            vectors.append(builder.load(pointer, align=1))
        return every(builder, vectors, stride.literal_value)

    return cells.vector(cells, types.int64, stride), generate


@operation
def load_every_inside(typing, cells, start, stop, fill, stride):
    """Lane l is cell `start + l * stride` where that is in [0, stop), else `fill`."""
    vector = cells.vector

    def generate(context, builder, signature, arguments):
        address, start, stop, fill, _ = arguments
        kind, fills, vectors = vector_type(vector), broadcast(builder, fill, vector.lanes), []
        for number in range(stride.literal_value):
            at = builder.add(start, INT64(number * vector.lanes))
            pointer = pointer_to(builder, address, at, kind)
            mask = lanes_inside(builder, at, stop, vector.lanes)
            loaded = [pointer, INT32(1), mask, fills]
            vectors.append(call_masked(builder, "load", vector, kind, loaded))
        return every(builder, vectors, stride.literal_value)

    signature = vector(cells, types.int64, types.int64, vector.element, stride)
    return signature, generate
