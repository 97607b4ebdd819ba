"""Small windows summed in registers: taps are added one after the other, from loads to stores.

Rows of cells are read once, from the first to the last, and each is added to the sums of all rows
of windows that have it. So the taps of each window come in row-major order::

    cells      row 0      row 1      row 2      row 3
    windows    0: 0 1 2   0: 3 4 5   0: 6 7 8
                          1: 0 1 2   1: 3 4 5   1: 6 7 8
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from .adding import SHIFTED, multiple_of, result_of, summand
from .types import INT64, Vector, broadcast, constants, vector_type
from .writing import Writing

# Added to a float32 below 2**22 in magnitude, it leaves no place for a fraction: the sum is rounded
# to the nearest integer, of two to the even one, which stands in its last bits.
_INTEGERS = 1.5 * 2.0**23
_WIDER: dict[Any, Any] = {
    types.int8: types.int16,
    types.uint8: types.uint16,
    types.int16: types.int32,
    types.uint16: types.uint32,
}


class Summing(Writing):
    """The code of one block of sums, as it is written."""

    def __init__(self, builder, block, edge, care, x, rows, cells, names, written):
        super().__init__(builder, block, edge, care, x, rows, cells, written)
        self.zeros, self.number = names[5], rows[7]
        if isinstance(x.element, types.Float) or block.half:
            element: Any = types.float64 if x.element is types.float64 else types.float32
        else:
            element = _WIDER[x.element]
        self.sums: Any = Vector(element, x.lanes)

    def write(self):
        """Everything; there is nothing to be done again."""
        block, kind = self.block, vector_type(self.sums)
        totals = [ir.Constant(kind, None)] * block.rows
        floats = isinstance(self.sums.element, types.Float)
        add = self.builder.fadd if floats else self.builder.add
        for back in range(block.kernel_d):
            for row in range(block.height):
                summands = self.summands(back, row)
                for number in range(block.rows):
                    if 0 <= row - number * block.stride_h < block.kernel_h:
                        for value in summands:
                            totals[number] = add(totals[number], value)
        for row, total in enumerate(totals):
            values = self.quotient(total) if floats else self.whole_quotient(total)
            self.store(self.written[0], self.written[1], row, values, self.x)
        return ir.IntType(1)(0)

    # What is read

    @property
    def fill(self):
        return ir.Constant(self.kind.element, 0)

    def seen(self, bits):
        return bits

    def line(self, back, row):
        """The address of a row of cells; of one outside, that of zeros."""
        builder, (source, step, slice_step, above, below, nearest, furthest) = (
            self.builder, self.rows[:7],
        )  # fmt: skip
        address = self.offset(self.offset(source, slice_step, back), step, row)
        inside = ir.IntType(1)(1)
        for sign, limit, number in (
            ("<=", above, row), (">", below, row), ("<=", nearest, back), (">", furthest, back),
        ):  # fmt: skip
            inside = builder.and_(inside, builder.icmp_signed(sign, limit, INT64(number)))
        size = INT64(self.x.element.bitwidth // 8)
        zeros = builder.sub(self.zeros, builder.mul(self.cells[0], size))
        return builder.select(inside, address, zeros)

    def summands(self, back, row):
        """The cells of each tap along a row, as they are summed."""
        block, element = self.block, self.x.element
        pairs = block.kernel_w == 2 and block.adjacent
        pairs = pairs and (block.stride_w == 2 or block.interleaved)
        if pairs and isinstance(element, types.Integer) and not block.half and self.lanes > 1:
            return self.neighbours(self.line(back, row))
        return [
            summand(self.builder, cells, self.x, self.sums, block.half)
            for cells in self.taps(back, row)
        ]

    def neighbours(self, line):
        """The cells of two taps side by side: the halves of integers that are twice as wide."""
        builder, signed = self.builder, self.x.element.signed
        bits, lanes = self.x.element.bitwidth, self.lanes
        kind = ir.VectorType(ir.IntType(2 * bits), lanes // 2)
        shift = ir.Constant(kind, [bits] * kind.count)
        down = builder.ashr if signed else builder.lshr
        found = []
        if self.block.interleaved:
            firsts = self.block.places(lanes)
            both = [place for first in firsts for place in (first, first + self.block.channels)]
            vectors = self.picked(line, self.cells[0], [both[:lanes], both[lanes:]])
        else:
            vectors = self.vectors(line, self.cells[0])
        pairs = [builder.bitcast(vector, kind) for vector in vectors]
        for low in (True, False):
            parts = [down(builder.shl(pair, shift) if low else pair, shift) for pair in pairs]
            order = constants(lanes, ir.IntType(32), range(lanes))
            found.append(builder.shuffle_vector(*parts, order))
        return found

    # What is written

    def quotient(self, total):
        """Sums of floats, times a number or over it, and rounded."""
        builder, half = self.builder, self.block.half
        values = multiple_of(builder, total, self.sums, self.number, self.block.divided)
        return result_of(builder, values, self.sums.element, self.x, half)

    def whole_quotient(self, total):
        """Sums of integers over a number, to the nearest integer, of two to the even one."""
        builder, kind, divided = self.builder, total.type, self.block.divided
        signed = self.sums.element.signed
        if divided >= SHIFTED:
            count = divided - SHIFTED
            if count:
                shift = ir.Constant(kind, [count] * self.lanes)
                down = builder.ashr if signed else builder.lshr
                odd = builder.and_(down(total, shift), ir.Constant(kind, [1] * self.lanes))
                almost = ir.Constant(kind, [2 ** (count - 1) - 1] * self.lanes)
                total = down(builder.add(builder.add(total, almost), odd), shift)
            return builder.trunc(total, self.kind)
        floats = ir.VectorType(ir.FloatType(), self.lanes)
        word = ir.VectorType(ir.IntType(32), self.lanes)
        number = builder.fptrunc(builder.bitcast(self.number, ir.DoubleType()), ir.FloatType())
        convert = builder.sitofp if signed else builder.uitofp
        found = builder.fdiv(convert(total, floats), broadcast(builder, number, self.lanes))
        magic = constants(self.lanes, ir.FloatType(), [_INTEGERS] * self.lanes)
        found = builder.bitcast(builder.fadd(found, magic), word)
        return builder.trunc(builder.sub(found, builder.bitcast(magic, word)), self.kind)
