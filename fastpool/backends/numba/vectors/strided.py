"""Cells a stride apart: vectors of them, picked from as many vectors side by side.

Of channels last, windows and channels lie side by side in the lanes, if there are few. A tap is
picked from the cells of a row by shuffles that are constants. Three colours at a stride of 2, in 8
lanes, of which 6 hold whole windows::

    cells     r g b r g b r g b r g b        what is picked    r g b r g b . .
    tap 0     r g b . . . r g b . . .
    tap 1     . . . r g b . . . r g b
"""

from __future__ import annotations

from llvmlite import ir
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


def whole_of(lanes: int, channels: int) -> int:
    """Of some lanes those that hold all channels of their windows."""
    return lanes - lanes % channels


def places_of(lanes: int, stride: int, channels: int) -> list[int]:
    """The cells from the first tap of the first lane to that of each lane.

    Lanes hold windows with their channels, one after the other. Those of a window of which lanes
    lack a channel see what the last whole one does.
    """
    last = whole_of(lanes, channels) - 1
    pairs = (divmod(min(lane, last), channels) for lane in range(lanes))
    return [window * stride * channels + channel for window, channel in pairs]


def starts_of(places: list[int], lanes: int) -> list[int]:
    """Where vectors begin that hold all cells up to the last of some places.

    The last one ends there: nothing is read behind it, but where cells do not fill one vector.
    """
    last = max(max(places) + 1 - lanes, 0)
    return [*range(0, last, lanes), last]


@operation
def whole_lanes(typing, cells, channels):
    """How many lanes of a vector hold all channels of their windows, as a constant."""
    count = INT64(whole_of(cells.lanes, channels.literal_value))
    return types.int64(cells, channels), lambda *_: count


@operation
def load_every(typing, cells, offset, stride, channels):
    """The cells from `offset` on that are a constant stride apart, or pixels of a few channels.

    Lanes that hold no whole pixel are zero.
    """

    def generate(context, builder, signature, arguments):
        def loaded(start):
            at = builder.add(arguments[1], INT64(start))
            return builder.load(pointer_to(builder, arguments[0], at, kind), align=1)

        kind = vector_type(cells.vector)
        return _every(builder, loaded, cells.lanes, stride, channels)

    return cells.vector(cells, types.int64, stride, channels), generate


@operation
def load_every_inside(typing, cells, start, stop, fill, stride, channels):
    """`load_every` from the cell `start` on; cells that are not in [0, stop) are `fill`."""
    vector = cells.vector

    def generate(context, builder, signature, arguments):
        def loaded(start):
            at = builder.add(arguments[1], INT64(start))
            mask = lanes_inside(builder, at, arguments[2], vector.lanes)
            pointer = pointer_to(builder, arguments[0], at, kind)
            return call_masked(builder, "load", vector, kind, [pointer, INT32(1), mask, fills])

        kind = vector_type(vector)
        fills = broadcast(builder, arguments[3], vector.lanes)
        return _every(builder, loaded, vector.lanes, stride, channels)

    signature = vector(cells, types.int64, types.int64, vector.element, stride, channels)
    return signature, generate


def _every(builder, loaded, lanes, stride, channels):
    channels, stride = channels.literal_value, stride.literal_value
    whole, places = whole_of(lanes, channels), places_of(lanes, stride, channels)
    starts = range(0, stride * lanes, lanes) if channels == 1 else starts_of(places, lanes)
    found = picked(builder, [loaded(start) for start in starts], starts, places)
    if whole == lanes:
        return found
    mask = constants(lanes, ir.IntType(1), [lane < whole for lane in range(lanes)])
    return builder.select(mask, found, ir.Constant(found.type, None))
