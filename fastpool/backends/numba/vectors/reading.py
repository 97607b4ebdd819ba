"""What a block of windows reads: vectors of cells, tap by tap, and whether the compare is right."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from .halves import infinity_of
from .memory import call_masked, lanes_near, least, pointer_to
from .strided import every, picked, starts_of
from .types import INT32, INT64, MASKED_BITS, broadcast, constants, scalar_type, vector_type


class Reading:
    """The code that loads the cells of a block.

    Numbers of 16-bit floats are compared as integers in their order, which is right but for NaN and
    negative zeros. With care, cells are loaded as they are.

    Parameters
    ----------
    builder : IRBuilder
        What writes the code.
    block : Block
        What is known of the block.
    edge, care : bool
        Whether cells may lie outside, and whether any may be NaN.
    x : Cells
        Their type.
    rows, cells : list
        As `windows.pool_block` has them.
    """

    def __init__(self, builder, block, edge, care, x, rows, cells):
        self.builder, self.block, self.edge, self.care = builder, block, edge, care
        self.x, self.rows, self.cells = x, rows, cells
        self.lanes, self.kind = x.lanes, vector_type(x.vector)
        self.suspects: list[Any] = []  # vectors that together hold all cells
        self.halves: list[Any] = []  # of 16-bit floats: bits, and numbers in their order

    def offset(self, address, step, number):
        return self.builder.add(address, self.builder.mul(step, INT64(number)))

    def load(self, line, at):
        """A vector of cells of a line; those outside are the weakest."""
        builder = self.builder
        pointer = pointer_to(builder, line, at, self.kind)
        if not self.edge:
            return self.seen(builder.load(pointer, align=1))
        fill = broadcast(builder, self.fill, self.lanes)
        if self.x.element.bitwidth < MASKED_BITS:
            return self.seen(self.slid(line, at, fill))
        # The same for all lines, so that it is made once.
        mask = lanes_near(builder, at, self.cells[2], self.lanes)
        arguments = [pointer, INT32(1), mask, fill]
        return self.seen(call_masked(builder, "load", self.x, self.kind, arguments))

    @property
    def fill(self):
        """What cells outside are taken as: the weakest one."""
        if not self.block.half:
            return least(self.x)
        weakest = self.infinity - 0x8000 if self.x.order.sign > 0 else self.infinity
        return ir.Constant(self.kind.element, weakest)

    def slid(self, line, at, fill):
        """A vector of cells of a line that has as many, those outside being filled.

        The nearest cells inside go through memory, with what fills before and behind them::

            memory      . . . . a b c d . . . .
            to be read      . . a b                 two cells before a line that begins with a
        """
        builder, lanes = self.builder, self.lanes
        near = self.clamped(at, INT64(0), builder.sub(self.cells[2], INT64(lanes - 1)))
        cells = builder.load(pointer_to(builder, line, near, self.kind), align=1)
        place = cgutils.alloca_once(builder, ir.ArrayType(self.kind, 3))
        for number, values in enumerate((fill, cells, fill)):
            builder.store(values, builder.gep(place, [INT32(0), INT32(number)]))
        away = self.clamped(builder.sub(at, near), INT64(-lanes), INT64(lanes + 1))
        middle = builder.ptrtoint(builder.gep(place, [INT32(0), INT32(1)]), INT64)
        return builder.load(pointer_to(builder, middle, away, self.kind), align=1)

    def place(self, back, row):
        """A slice and a row of cells; for those outside the nearest ones inside.

        To see cells twice changes nothing, neither an extreme nor the first place that has it.
        """
        above, below, nearest, furthest = self.rows[3:7]
        back, row = INT64(back), INT64(row)
        return self.clamped(back, nearest, furthest), self.clamped(row, above, below)

    def clamped(self, number, low, high):
        """A number, or the nearest one in [low, high)."""
        builder = self.builder
        last = builder.sub(high, INT64(1))
        number = builder.select(builder.icmp_signed("<", number, low), low, number)
        return builder.select(builder.icmp_signed(">", number, last), last, number)

    def line(self, back, row):
        """The address of a row of cells."""
        builder, (source, step, slice_step, *_) = self.builder, self.rows
        back, row = self.place(back, row)
        address = builder.add(source, builder.mul(slice_step, back))
        return builder.add(address, builder.mul(step, row))

    def taps(self, back, row):
        """The cells of each tap along a row."""
        block, builder, line = self.block, self.builder, self.line(back, row)
        at, step, _ = self.cells
        stride = block.stride_w
        if block.interleaved:
            return self.interleaved_taps(line)
        if stride == 1:
            found = [self.load(line, self.offset(at, step, tap)) for tap in range(block.kernel_w)]
            # Vectors of cells side by side hold those of the taps between, as far as they reach.
            self.suspects += [*found[:: self.lanes], found[-1]] if block.adjacent else found
            return found
        if not block.adjacent:
            return [self.strided(line, self.offset(at, step, tap)) for tap in range(block.kernel_w)]
        vectors = self.vectors(line, at)
        found = [every(builder, vectors, stride, tap) for tap in range(min(stride, block.kernel_w))]
        for tap in range(stride, block.kernel_w):
            found.append(self.moved(found[tap - stride], line, at, tap - stride))
        return found

    def vectors(self, line, at):
        """As many vectors side by side as the windows of the lanes are apart."""
        found = [
            self.load(line, self.builder.add(at, INT64(number * self.lanes)))
            for number in range(self.block.stride_w)
        ]
        self.suspects += found
        return found

    def interleaved_taps(self, line):
        """The cells of each tap along a row of a few channels."""
        block, (at, step, _) = self.block, self.cells
        places, apart = block.places(self.lanes), block.channels
        if not block.adjacent:
            begins = [self.offset(at, step, tap) for tap in range(block.kernel_w)]
            return [self.picked(line, begin, [places])[0] for begin in begins]
        groups = [[place + tap * apart for place in places] for tap in range(block.kernel_w)]
        return self.picked(line, at, groups)

    def picked(self, line, at, groups):
        """The cells of a line at groups of places from one on, a vector for each group."""
        starts = starts_of([place for places in groups for place in places], self.lanes)
        vectors = [self.load(line, self.builder.add(at, INT64(start))) for start in starts]
        self.suspects += vectors
        return [picked(self.builder, vectors, starts, places) for places in groups]

    def strided(self, line, at):
        return every(self.builder, self.vectors(line, at), self.block.stride_w)

    def moved(self, tap, line, at, number):
        """The cells of a tap, all of which but the last are those of another, one window later."""
        builder = self.builder
        last = builder.add(at, INT64(self.lanes * self.block.stride_w + number))
        if self.edge:
            beyond = self.load(line, last)
        else:
            pointer = pointer_to(builder, line, last, scalar_type(self.x.element))
            beyond = broadcast(builder, builder.load(pointer, align=1), self.lanes)
            beyond = self.seen(beyond)
        mask = constants(self.lanes, INT32, range(1, self.lanes + 1))
        found = builder.shuffle_vector(tap, beyond, mask)
        self.suspects.append(found)
        return found

    @property
    def infinity(self):
        """The bits of a 16-bit float's infinity."""
        return infinity_of(self.block.half)

    def ordered(self, bits):
        """The bits of 16-bit floats as numbers in their order, -0.0 before 0.0; and back."""
        if not self.block.half:
            return bits
        sign = self.builder.ashr(bits, ir.Constant(self.kind, [15] * self.lanes))
        mask = ir.Constant(self.kind, [0x7FFF] * self.lanes)
        return self.builder.xor(bits, self.builder.and_(sign, mask))

    def seen(self, bits):
        """Cells as they are compared: `ordered`, which is right but for NaN and negative zeros."""
        if not self.block.half or self.care:
            return bits
        numbers = self.ordered(bits)
        self.halves.append((bits, numbers))
        return numbers

    def any_nan(self):
        """Whether there is a NaN among the cells, as a bit."""
        builder = self.builder
        if self.halves:
            return self.any_doubtful()
        if self.care or not isinstance(self.x.element, types.Float):
            return ir.IntType(1)(0)
        vectors = self.suspects + self.suspects[-1:]
        tests = [
            builder.fcmp_unordered("uno", *vectors[place : place + 2])
            for place in range(0, len(self.suspects), 2)
        ]
        found = tests[0]
        for test in tests[1:]:
            found = builder.or_(found, test)
        word = builder.bitcast(found, ir.IntType(self.lanes))
        return builder.icmp_unsigned("!=", word, word.type(0))

    def any_doubtful(self):
        """Whether there is a NaN, or a negative zero, among 16-bit floats, as a bit."""
        builder = self.builder

        def extreme(sign, vectors):
            found = vectors[0]
            for vector in vectors[1:]:
                found = builder.select(builder.icmp_signed(sign, vector, found), vector, found)
            return found

        bits, numbers = zip(*self.halves, strict=True)
        infinity = ir.Constant(self.kind, [self.infinity] * self.lanes)
        least = ir.Constant(self.kind, [~self.infinity] * self.lanes)
        zero = ir.Constant(self.kind, [-0x8000] * self.lanes)
        found = builder.icmp_signed("==", extreme("<", bits), zero)
        found = builder.or_(found, builder.icmp_signed(">", extreme(">", numbers), infinity))
        found = builder.or_(found, builder.icmp_signed("<", extreme("<", numbers), least))
        word = builder.bitcast(found, ir.IntType(self.lanes))
        return builder.icmp_unsigned("!=", word, word.type(0))
