"""Small windows in registers: all taps of some rows of windows, from loads to stores.

A block is a vector of windows side by side, in some rows of windows. Each of its rows of cells is
reduced along its taps, and the rows' extremes are joined downwards; what two rows of windows share
is joined once. With windows of three rows at a stride of 1::

    cells      row 0   row 1   row 2   row 3   row 4   row 5
                         └── 1-2 ──┘     └── 3-4 ──┘
    windows    0: row 0 and 1-2          2: row 2 and 3-4
               1: 1-2 and row 3          3: 3-4 and row 5

It is written in LLVM's language at once: Numba takes longer to compile a loop over taps than LLVM
takes for all its code.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import types

from .lanes import replaces, sort_key_of
from .memory import pointer_to
from .strided import places_of, whole_of
from .summing import Summing
from .types import (
    INT32,
    INT64,
    Cells,
    Vector,
    broadcast,
    constants,
    generated,
    resized,
    scalar_type,
    unpack,
    vector_type,
)
from .writing import Writing

# Of channels that windows at a stride of 1 have: what is compiled serves them all.
ANY = 31
# The types of codes, by their bytes.
CODES: dict[int, Any] = {1: types.uint8, 2: types.uint16, 4: types.int32}


class Block(NamedTuple):
    """What is known of a block when it is compiled."""

    kernel_d: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int  # of the lanes
    rows: int  # of windows
    adjacent: int  # whether the taps of a row are cells side by side
    flat: int  # whether codes become positions in the plane
    channels: int  # of windows side by side, or ANY; 0 if a block holds those of one window
    row_bits: int  # where the row begins in a code that is taken apart for that; 0 if none is
    half: int  # of 16-bit floats, the bits of the mantissa; else 0
    divided: int = 0  # what becomes of sums, see `adding`; 0 for extremes
    code_size: int = 0  # bytes of a code; 0 for none

    @property
    def height(self) -> int:
        """Rows of cells that the windows cover, in each slice."""
        return (self.rows - 1) * self.stride_h + self.kernel_h

    @property
    def interleaved(self) -> bool:
        """Whether windows of a few channels are picked from cells of all channels."""
        return self.channels > 1 and self.stride_w > 1

    def whole(self, lanes: int) -> int:
        """Of some lanes those that hold all channels of their windows; what others hold is void."""
        return whole_of(lanes, self.channels) if self.interleaved else lanes

    def places(self, lanes: int) -> list[int]:
        """The cells from the first tap of the first lane to that of each lane."""
        return places_of(lanes, self.stride_w, self.channels if self.interleaved else 1)


@generated
def block_lanes(typing, block, x):
    """How many lanes of cells a block pools, as a constant."""
    count = unpack(Block, block.literal_value).whole(x.lanes)
    return types.int64(block, x), lambda *_: INT64(count)


@generated
def pool_block(typing, block, edge, x, places, rows, cells, names, written):
    """Pool a block; whether there was a NaN: then it is to be done again, with care.

    Parameters
    ----------
    block : int
        A packed `Block`.
    edge : int
        0, or 1 if lanes may stick out of the row of cells, and out of the output; 2 if cells may be
        NaN, too.
    x, places : Cells, or None
        The types of cells and indices.
    rows : tuple
        The address of the first row of cells, the bytes to the next row and to the next slice;
        the rows of the block that lie inside, from which on and up to which, and its slices; the
        bits of the float64 that sums are multiplied with, or divided by.
    cells : tuple
        The first window's first cell, the cells from one tap to the next, and those of a row.
    names : tuple
        What a tap back, down, and to the right add to a code, and the latter two to a position;
        where the codes of first taps inside stand, and the columns of a row; the position of the
        first tap. Of sums there are zeros where else codes stand, and on both sides of it.
    written : tuple
        The addresses of the first row of the output and of indices, each with the bytes to the
        next; the place of the block in its row, and the number of windows from there on; whether
        they are written past the caches, which takes addresses that are multiples of PAST.
    """
    kind = unpack(Block, block.literal_value)
    ways = edge.literal_value > 0, edge.literal_value > 1
    exact = kind.divided > 0 or not (kind.half or isinstance(x.element, types.Float))
    never = ways[1] and exact
    codes = Cells(CODES[kind.code_size], x.lanes) if kind.code_size else None

    def generate(context, builder, signature, arguments):
        if never:  # integers are never doubtful
            return ir.IntType(1)(0)
        part_of = partial(ir.builder.IRBuilder.extract_value, builder)
        groups = [
            [part_of(value, number) for number in range(len(group))]
            for value, group in zip(arguments[4:], signature.args[4:], strict=True)
        ]
        if kind.divided:
            return Summing(builder, kind, *ways, x, *groups).write()
        return Pooling(builder, kind, *ways, x, codes, places, *groups).write()

    return types.boolean(block, edge, x, places, rows, cells, names, written), generate


class Pooling(Writing):
    """The code of one block, as it is written."""

    def __init__(self, builder, block, edge, care, x, codes, places, rows, cells, names, written):
        super().__init__(builder, block, edge, care, x, rows, cells, written)
        self.codes, self.places, self.names = codes, places, names
        self.joined: dict[Any, Any] = {}  # extremes over rows of a slice, from one up to another

    def write(self):
        """Everything; whether there is a NaN."""
        block, output = self.block, self.written
        found: list[Any] = [None] * block.rows
        for back in range(block.kernel_d):
            for row in range(block.height):
                self.joined[back, row, row + 1] = self.reduced(back, row)
            for number in range(block.rows):
                start = number * block.stride_h
                later = self.join(back, start, start + block.kernel_h)
                found[number] = self.better(found[number], later) if back else later
        suspicious = self.any_nan()
        for row, (best, code, *bits) in enumerate(found):
            values = bits[0] if bits else self.ordered(best)
            self.store(output[0], output[1], row, values, self.x)
            if code is not None:
                self.store(output[2], output[3], row, self.index(row, code), self.places)
        return suspicious

    def reduced(self, back, row):
        """The extremes along a row of cells, and the codes of their taps."""
        best = None
        for tap, value in enumerate(self.taps(back, row)):
            found: tuple[Any, ...] = value, self.code(back, row, tap)
            if self.block.half and self.care:
                limit = ir.Constant(self.kind, [self.infinity] * self.lanes)
                key = sort_key_of(self.builder, value, limit, self.x.order)
                found = key, found[1], value
            best = self.better(best, found, self.before(tap)) if best else found
        return best

    def before(self, tap):
        """The lanes whose earlier taps lie before the row, if these might not be beaten; else None.

        What fills these then gives way to any cell, as it has no bits to keep.
        """
        if not (self.edge and self.x.order.many_weakest):
            return None
        builder, firsts = self.builder, self.block.places(self.lanes)
        place = self.offset(self.cells[0], self.cells[1], tap - 1)
        # The numbers of the lanes need no more than 16 bits.
        most = INT64(firsts[-1] + 1)
        distance = self.clamped(builder.neg(place), INT64(0), builder.add(most, INT64(1)))
        distance = builder.trunc(distance, ir.IntType(16))
        places = constants(self.lanes, ir.IntType(16), firsts)
        return builder.icmp_signed("<", places, broadcast(builder, distance, self.lanes))

    def code(self, back, row, tap):
        """The code of a tap in all lanes, rows being counted from the first of the block."""
        if self.codes is None:
            return None
        builder, number = self.builder, INT64(0)
        for step, count in zip(self.names[:3], (*self.place(back, row), INT64(tap)), strict=True):
            number = builder.add(number, builder.mul(step, count))
        number = builder.trunc(number, scalar_type(self.codes.element))
        return broadcast(builder, number, self.lanes)

    # Of several cells

    def better(self, best, later, anyway=None):
        """Of two values with their codes, and bits, the later one where it beats the other.

        In some lanes it is taken `anyway`.
        """
        builder, order, element = self.builder, self.x.order, self.x.element
        if isinstance(element, types.Float) and not self.care:
            mask = builder.fcmp_ordered(">" if order.sign > 0 else "<", later[0], best[0])
        else:
            mask = replaces(builder, element, order, later[0], best[0])
        if anyway is not None:
            mask = builder.or_(mask, anyway)
        return tuple(
            None if old is None else builder.select(mask, new, old)
            for new, old in zip(later, best, strict=True)
        )

    def join(self, back, start, stop):
        """The extremes over some rows of cells of a slice; what windows share is made once."""
        found = self.joined.get((back, start, stop))
        if found is None:
            middle = start + (2 if start % 2 and stop - start > 2 else 1)
            found = self.better(self.join(back, start, middle), self.join(back, middle, stop))
            self.joined[back, start, stop] = found
        return found

    # Written

    def index(self, row, code):
        """What is written for the codes of a row of windows."""
        builder, block, codes, place = self.builder, self.block, self.codes, self.written[4]
        back, down, _, down_cells, right_cells, firsts, columns, base = self.names
        element, first_row = codes.element, row * block.stride_h
        if self.edge:  # a code from outside is the first one of its window: none was better
            above, nearest = self.rows[3], self.rows[5]
            below = builder.icmp_signed(">", above, INT64(first_row))
            number = builder.mul(builder.select(below, above, INT64(first_row)), down)
            number = builder.add(number, builder.mul(nearest, back))
            number = builder.trunc(number, scalar_type(element))
            pointer = pointer_to(builder, firsts, INT64(0), vector_type(codes.vector))
            first = builder.load(pointer, align=1)
            first = builder.add(first, broadcast(builder, number, self.lanes))
            compare = builder.icmp_signed if element.signed else builder.icmp_unsigned
            code = builder.select(compare(">", first, code), first, code)
        if not block.flat:
            number = builder.trunc(self.offset(INT64(0), down, first_row), scalar_type(element))
            code = builder.sub(code, broadcast(builder, number, self.lanes))
            return resized(builder, code, element, self.places.vector)
        wide = Vector(types.int32, self.lanes)
        code = resized(builder, code, element, wide)
        if block.row_bits:
            bits, mask, down_cells, right_cells = (
                broadcast(builder, number, self.lanes)
                for number in (
                    INT32(block.row_bits), INT32((1 << block.row_bits) - 1),
                    builder.trunc(down_cells, INT32), builder.trunc(right_cells, INT32),
                )
            )  # fmt: skip
            right = builder.mul(builder.and_(code, mask), right_cells)
            code = builder.add(builder.mul(builder.lshr(code, bits), down_cells), right)
        if block.channels == 1:
            code = builder.add(code, constants(self.lanes, INT32, block.places(self.lanes)))
        elif block.channels:
            pointer = pointer_to(builder, columns, place, vector_type(wide))
            code = builder.add(code, builder.load(pointer, align=1))
        # A plane may have more cells than 32 bits count, but not a window.
        position = resized(builder, code, types.int32, self.places.vector)
        if position.type.element.width < 64:
            base = builder.trunc(base, position.type.element)
        return builder.add(position, broadcast(builder, base, self.lanes))
