"""Tiles in registers: a vector of windows that share no cell, from loads to stores.

All cells of the windows come in the order of their taps, a vector for each tap, and a network of
comparisons reduces them. Nothing outside a tile is read.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import types

from .labels import most_frequent
from .memory import fetch, pointer_to
from .strided import every
from .types import INT64, broadcast, generated, unpack, vector_type

# What a tile is reduced to.
MODE = 1


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
def reduce_tile(typing, tile, x, output, source, target, steps, limits, ahead):
    """Reduce a vector of tiles.

    Parameters
    ----------
    tile : int
        A packed `Tile`.
    x, output : Cells
        What is read and written.
    source, target : int
        The first cell of the first tile, and where it is written.
    steps : tuple
        The cells from one slice to the next, from row to row, and from cell to cell.
    limits : tuple
        How many slices, rows and cells of the tiles there are, if they are cut.
    ahead : int
        Cells from what is read to what is fetched meanwhile.
    """
    kind = unpack(Tile, tile.literal_value)

    def generate(context, builder, signature, arguments):
        _, cells, written, source, target, steps, limits, ahead = arguments
        steps, limits = (
            [builder.extract_value(group, number) for number in range(3)]
            for group in (steps, limits)
        )
        tiles = _Tiles(builder, kind, x, cells, source, steps, limits, ahead)
        value = most_frequent(builder, tiles.taps(), tiles.present(), x.order.truth)
        builder.store(value, pointer_to(builder, written, target, value.type), align=1)
        return context.get_dummy_value()

    return types.void(tile, x, output, source, target, steps, limits, ahead), generate


class _Tiles:
    """The code that loads the cells of tiles.

    Where the array ends within a tile its last cells are read again, and are not `present`.
    """

    def __init__(self, builder, tile, x, cells, source, steps, limits, ahead):
        self.builder, self.tile, self.x, self.kind = builder, tile, x, vector_type(x)
        self.cells, self.source, self.steps = cells, source, steps
        self.limits, self.ahead = limits, ahead

    def taps(self):
        """A vector for each tap, in the order of taps."""
        rows: dict[tuple[int, int], Any] = {}
        for back, down in sorted({place[:2] for place in self.tile.taps}):
            rows[back, down] = self.row(back, down)
        return [rows[back, down][along] for back, down, along in self.tile.taps]

    def row(self, back, down):
        """The vectors of a row of cells, one for each of its taps."""
        builder, count, line = self.builder, self.tile.along, self.tile.line
        at = builder.add(self.distance(0, back), self.distance(1, down))
        at, vectors = builder.add(self.source, at), []
        for number in range(count):
            away = INT64(number * self.x.lanes) if line else self.distance(2, number)
            place = builder.add(at, away)
            pointer = pointer_to(builder, self.cells, place, self.kind)
            vectors.append(builder.load(pointer, align=1))
            if line:
                fetch(builder, self.cells, builder.add(place, self.ahead), self.kind.element)
        if not line or count == 1:
            return vectors
        return [every(builder, vectors, count, tap) for tap in range(count)]

    def distance(self, axis, number):
        """From the first cell along an axis to another one."""
        builder, place = self.builder, INT64(number)
        if self.tile.cut:
            last = builder.sub(self.limits[axis], INT64(1))
            place = builder.select(builder.icmp_signed("<", place, last), place, last)
        return builder.mul(self.steps[axis], place)

    def present(self):
        """For each tap the lanes in which it counts; None if all do."""
        if not self.tile.cut:
            return None
        return [self.inside(place) for place in self.tile.taps]

    def inside(self, place):
        """Whether a tap lies in the array, in all lanes."""
        builder, found = self.builder, ir.IntType(1)(1)
        for number, limit in zip(place, self.limits, strict=True):
            found = builder.and_(found, builder.icmp_signed("<", INT64(number), limit))
        return broadcast(builder, found, self.x.lanes)
