"""Tiles in registers: a vector of windows that share no cell, from loads to stores.

All cells of the windows come in the order of their taps, a vector for each tap, with the lanes in
which it is valid, and are reduced lane by lane. Nothing outside a tile is read.
"""

from __future__ import annotations

import itertools
from functools import reduce
from typing import Any, NamedTuple

from numba.core import types

from . import valid
from .labels import labels_of, most_frequent
from .memory import fetch, pointer_to
from .ranks import medians
from .strided import every
from .totals import totals
from .types import INT64, broadcast, generated, unpack, vector_type

# What a tile is reduced to.
MODE, MEDIAN, SUM, MEAN, MAXIMUM, MINIMUM, ANY, ALL = range(1, 9)
# Which cells are missing, added up: NaNs, those that equal a number, those that a mask names.
NAN, NUMBER, MASKED = 1, 2, 4


class Tile(NamedTuple):
    """What is known of a tile when it is compiled."""

    back: int  # cells along each axis, as they lie in memory
    down: int
    along: int
    first: int  # of these three axes the one that is outermost to the user, and the next one
    second: int
    method: int
    line: int  # whether lanes are tiles side by side; else channels
    cut: int  # whether the array may end within a tile
    missing: int = 0
    half: int = 0  # of 16-bit floats, the bits of the mantissa

    @property
    def taps(self) -> list[tuple[int, int, int]]:
        """The cells of a tile in the order of the user's axes: back, down and along."""
        sizes = self.back, self.down, self.along
        axes = self.first, self.second, 3 - self.first - self.second
        found = []
        for place in itertools.product(*(range(sizes[axis]) for axis in axes)):
            back, down, along = (place[axes.index(axis)] for axis in range(3))
            found.append((back, down, along))
        return found


@generated
def reduce_tile(typing, tile, arrays, places, steps, mask_steps, limits, numbers, ahead):
    """Reduce a vector of tiles.

    Parameters
    ----------
    tile : int
        A packed `Tile`.
    arrays : tuple of Cells
        What is read and written, the mask, and where it is written which tiles have too few cells;
        the last two may be None.
    places : tuple
        The first cell of the first tile in each of the former three, and where it is written.
    steps, mask_steps : tuple
        The cells from one slice to the next, from row to row, and from cell to cell.
    limits : tuple
        How many slices, rows and cells of the tiles there are, if they are cut.
    numbers : tuple
        The bits of the number that cells are missing at; how many valid cells are enough; the bits
        of what tiles with fewer get.
    ahead : int
        Cells from what is read to what is fetched meanwhile.
    """
    kind = unpack(Tile, tile.literal_value)
    x, output, mask, few = arrays

    def generate(context, builder, signature, arguments):
        _, arrays, places, steps, mask_steps, limits, numbers, ahead = (
            [builder.extract_value(group, number) for number in range(len(what))]
            if isinstance(what, types.BaseTuple)
            else group
            for group, what in zip(arguments, signature.args, strict=True)
        )
        source, target, hidden = places
        tiles = _Tiles(builder, kind, limits, x.lanes)
        taps = tiles.taps(x, arrays[0], source, steps, ahead)
        present = tiles.inside()
        if kind.missing:
            masks = None
            if kind.missing & MASKED:
                masks = tiles.taps(mask, arrays[2], hidden, mask_steps, None)
            present = valid.present(builder, kind, x, taps, masks, numbers[0], present)
        values, count = _reduced(builder, kind, x, output, taps, present)
        if kind.missing:
            lacks = valid.too_few(builder, present, count, numbers[1])
            values = valid.filled(builder, output, values, lacks, numbers[2])
            if isinstance(few, type(x)):
                bits = builder.zext(lacks, vector_type(few))
                builder.store(bits, pointer_to(builder, arrays[3], target, bits.type), align=1)
        builder.store(values, pointer_to(builder, arrays[1], target, values.type), align=1)
        return context.get_dummy_value()

    signature = types.void(
        tile, arrays, places, steps, mask_steps, limits, numbers, ahead
    )  # fmt: skip
    return signature, generate


def _reduced(builder, tile, x, output, taps, present):
    """What tiles are reduced to; and how many cells are valid, if that was needed."""
    method = tile.method
    if method == MODE:
        labels = labels_of(builder, taps, x, tile.half)
        return most_frequent(builder, taps, labels, present), None
    if method == MEDIAN:
        return medians(builder, taps, x, tile.half, present)
    if method in (SUM, MEAN):
        return totals(builder, taps, x, output, tile.half, present, method == MEAN)
    if method in (ANY, ALL):
        return valid.truths(builder, taps, x, output, tile.half, present, method == ANY), None
    sign = 1 if method == MAXIMUM else -1
    return valid.extremes(builder, taps, x, sign, tile.half, present), None


class _Tiles:
    """The code that loads the cells of tiles.

    Where the array ends within a tile its last cells are read again, and are not `inside`.
    """

    def __init__(self, builder, tile, limits, lanes):
        self.builder, self.tile, self.limits, self.lanes = builder, tile, limits, lanes

    def taps(self, kind, cells, source, steps, ahead):
        """A vector for each tap, in the order of taps."""
        rows: dict[tuple[int, int], Any] = {}
        for back, down in sorted({place[:2] for place in self.tile.taps}):
            at = self.builder.add(source, self.distance(steps, 0, back))
            at = self.builder.add(at, self.distance(steps, 1, down))
            rows[back, down] = self.row(vector_type(kind), cells, at, steps, ahead)
        return [rows[back, down][along] for back, down, along in self.tile.taps]

    def row(self, kind, cells, at, steps, ahead):
        """The vectors of a row of cells, one for each of its taps."""
        builder, count, line = self.builder, self.tile.along, self.tile.line
        vectors = []
        for number in range(count):
            away = INT64(number * self.lanes) if line else self.distance(steps, 2, number)
            place = builder.add(at, away)
            vectors.append(builder.load(pointer_to(builder, cells, place, kind), align=1))
            if line and ahead is not None:
                fetch(builder, cells, builder.add(place, ahead), kind.element)
        if not line or count == 1:
            return vectors
        return [every(builder, vectors, count, tap) for tap in range(count)]

    def distance(self, steps, axis, number):
        """From the first cell along an axis to another one."""
        builder, place = self.builder, INT64(number)
        if self.tile.cut:
            last = builder.sub(self.limits[axis], INT64(1))
            place = builder.select(builder.icmp_signed("<", place, last), place, last)
        return builder.mul(steps[axis], place)

    def inside(self):
        """For each tap the lanes in which it lies in the array; None if all do."""
        builder = self.builder
        if not self.tile.cut:
            return None
        found = []
        for place in self.tile.taps:
            tests = [
                builder.icmp_signed("<", INT64(number), limit)
                for number, limit in zip(place, self.limits, strict=True)
            ]
            found.append(broadcast(builder, reduce(builder.and_, tests), self.lanes))
        return found
