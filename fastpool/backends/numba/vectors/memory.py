"""Cells in memory: vectors of them loaded and stored.

Offsets count cells, and addresses need no alignment. Nothing checks them: that is the callers'
part.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types

from .types import (
    INT32,
    INT64,
    Cells,
    Vector,
    broadcast,
    constants,
    generated,
    operation,
    scalar_type,
    vector_type,
)


def pointer_to(builder, address, offset, kind, element=None):
    """Where a cell lies; not `inbounds`: a masked load may start before the first."""
    element = element or getattr(kind, "element", kind)
    base = builder.inttoptr(address, element.as_pointer())
    return builder.bitcast(builder.gep(base, [offset]), kind.as_pointer())


def lanes_inside(builder, start, stop, lanes):
    """The lanes l with 0 <= start + l < stop, made as the bits of a number.

    A comparison of lane numbers takes as many 64-bit lanes: eight vectors of them for bytes.
    """
    bits, zero, count = ir.IntType(lanes), INT64(0), INT64(lanes)

    def clamped(number):
        number = builder.select(builder.icmp_signed("<", number, zero), zero, number)
        return builder.select(builder.icmp_signed(">", number, count), count, number)

    def lanes_from(first):
        if lanes < 64:
            return builder.trunc(builder.shl(INT64(-1), first), bits)
        half = builder.lshr(first, INT64(1))  # a shift by all bits is undefined: in two steps
        return builder.shl(builder.shl(bits(-1), half), builder.sub(first, half))

    low = lanes_from(clamped(builder.neg(start)))
    high = lanes_from(clamped(builder.sub(stop, start)))
    mask = builder.and_(low, builder.not_(high))
    return builder.bitcast(mask, ir.VectorType(ir.IntType(1), lanes))


def lanes_near(builder, start, stop, lanes):
    """`lanes_inside` of numbers that 32 bits hold: a comparison takes a third of the instructions.

    Of more than 16 lanes it would take four vectors.
    """
    if lanes > 16:
        return lanes_inside(builder, start, stop, lanes)
    start, stop = (broadcast(builder, builder.trunc(n, INT32), lanes) for n in (start, stop))
    places = builder.add(start, constants(lanes, INT32, range(lanes)))
    return builder.icmp_unsigned("<", places, stop)


def call_masked(builder, kind, vector, result, arguments):
    letter = "f" if isinstance(vector.element, types.Float) else "i"
    name = f"llvm.masked.{kind}.v{vector.lanes}{letter}{vector.element.bitwidth}.p0"
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), arguments)


def past_caches(builder):
    """What is said of a store that goes past the caches."""
    return "nontemporal", builder.module.add_metadata([INT32(1)])


def fetch(builder, address, offset, element):
    """`prefetch`, written in LLVM's language."""
    pointer = pointer_to(builder, address, offset, ir.IntType(8), element)
    function = ir.FunctionType(ir.VoidType(), [pointer.type, INT32, INT32, INT32])
    builder.call(
        cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0"),
        [pointer, INT32(0), INT32(3), INT32(1)],
    )


@operation
def cells_at(typing, address, like):
    """The cells at an integer address, of the type of others."""
    return like(types.int64, like), lambda context, builder, signature, arguments: arguments[0]


@operation
def beyond(typing, cells, distance):
    """The cells that lie `distance` bytes further."""

    def generate(context, builder, signature, arguments):
        return builder.add(*arguments)

    return cells(cells, types.int64), generate


@operation
def cell(typing, cells, offset):
    """One cell, as a scalar."""

    def generate(context, builder, signature, arguments):
        address = pointer_to(builder, arguments[0], arguments[1], scalar_type(cells.element))
        return builder.load(address, align=1)

    return cells.element(cells, types.int64), generate


@operation
def set_cell(typing, cells, offset, value):
    """Write one cell."""

    def generate(context, builder, signature, arguments):
        address = pointer_to(builder, arguments[0], arguments[1], scalar_type(cells.element))
        builder.store(arguments[2], address, align=1)
        return context.get_dummy_value()

    return types.void(cells, types.int64, cells.element), generate


@operation
def load(typing, cells, offset):
    """The cells from `offset` on."""

    def generate(context, builder, signature, arguments):
        address = pointer_to(builder, arguments[0], arguments[1], vector_type(cells.vector))
        return builder.load(address, align=1)

    return cells.vector(cells, types.int64), generate


@operation
def load_inside(typing, cells, origin, start, stop, fill):
    """Lane l is cell `start + l` from `origin` on where that is in [0, stop), else `fill`."""
    vector = cells.vector

    def generate(context, builder, signature, arguments):
        address, origin, start, stop, fill = arguments
        kind = vector_type(vector)
        pointer = pointer_to(builder, address, builder.add(origin, start), kind)
        mask = lanes_inside(builder, start, stop, vector.lanes)
        fills = broadcast(builder, fill, vector.lanes)
        return call_masked(builder, "load", vector, kind, [pointer, INT32(1), mask, fills])

    signature = vector(cells, types.int64, types.int64, types.int64, vector.element)
    return signature, generate


@operation
def store(typing, cells, offset, vector):
    """Write all lanes."""

    def generate(context, builder, signature, arguments):
        address = pointer_to(builder, arguments[0], arguments[1], vector_type(vector))
        builder.store(arguments[2], address, align=1)
        return context.get_dummy_value()

    return types.void(cells, types.int64, vector), generate


@operation
def store_past(typing, cells, offset, vector):
    """Write all lanes past the caches; the address must be a multiple of their size."""

    def generate(context, builder, signature, arguments):
        address = pointer_to(builder, arguments[0], arguments[1], vector_type(vector))
        size = vector.lanes * vector.element.bitwidth // 8
        written = builder.store(arguments[2], address, align=size)
        written.set_metadata(*past_caches(builder))
        return context.get_dummy_value()

    return types.void(cells, types.int64, vector), generate


@operation
def store_first(typing, cells, offset, vector, count):
    """Write the first `count` lanes."""

    def generate(context, builder, signature, arguments):
        address, offset, values, count = arguments
        pointer = pointer_to(builder, address, offset, vector_type(vector))
        mask = lanes_inside(builder, INT64(0), count, vector.lanes)
        arguments = [values, pointer, INT32(1), mask]
        call_masked(builder, "store", vector, ir.VoidType(), arguments)
        return context.get_dummy_value()

    return types.void(cells, types.int64, vector, types.int64), generate


@operation
def prefetch(typing, cells, offset):
    """Ask for the line of a cell to be brought near, whether it exists or not."""

    def generate(context, builder, signature, arguments):
        fetch(builder, arguments[0], arguments[1], scalar_type(cells.element))
        return context.get_dummy_value()

    return types.void(cells, types.int64), generate


@operation
def splat(typing, value, like):
    """A number in all lanes of a vector like another, or like those of cells."""
    vector = like if isinstance(like, Vector) else like.vector

    def generate(context, builder, signature, arguments):
        return broadcast(builder, arguments[0], vector.lanes)

    return vector(vector.element, like), generate


@operation
def cells_of(typing, address, kind, like):
    """The cells of a NumPy scalar type at an integer address, as many a vector as in `like`."""
    cells = Cells(kind.dtype, like.lanes)
    return cells(types.int64, kind, like), lambda context, builder, sig, arguments: arguments[0]


@operation
def touch(typing, cells, offset):
    """Read a cell, and do nothing with it."""

    def generate(context, builder, signature, arguments):
        kind = scalar_type(cells.element)
        word = builder.load(pointer_to(builder, arguments[0], arguments[1], kind), align=1)
        assembly = ir.InlineAsm(ir.FunctionType(ir.VoidType(), [kind]), "", "r", True)
        builder.call(assembly, [word])
        return context.get_dummy_value()

    return types.void(cells, types.int64), generate


@operation
def byte_at(typing, address):
    """A byte at an integer address, as cells."""
    return Cells(types.uint8, 1)(types.int64), lambda context, builder, sig, arguments: arguments[0]


@generated
def address_of(typing, pointer):
    """The integer address of cells, or of what a pointer points to; 0 for cells not wanted."""

    def generate(context, builder, signature, arguments):
        if isinstance(pointer, types.NoneType):
            return INT64(0)
        if isinstance(pointer, Cells):
            return arguments[0]
        return builder.ptrtoint(arguments[0], INT64)

    return types.int64(pointer), generate


@operation
def integers_at(typing, address):
    """The 64-bit integers at an integer address, as the table is seen."""
    kind = types.CPointer(types.int64)

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(types.int64), generate


@operation
def bytes_of(typing, cells):
    """How many bytes a cell has, as a constant."""

    def generate(context, builder, signature, arguments):
        return INT64(cells.element.bitwidth // 8)

    return types.int64(cells), generate


@operation
def lanes(typing, cells):
    """How many cells a vector has, as a constant."""

    def generate(context, builder, signature, arguments):
        return INT64(cells.lanes)

    return types.int64(cells), generate


def least(cells):
    """`weakest` as a constant."""
    element, order = cells.element, cells.order
    if isinstance(element, types.Float):
        return ir.Constant(scalar_type(element), float("-inf") * order.sign)
    limit = element.minval if order.sign > 0 else element.maxval
    return ir.Constant(scalar_type(element), int(limit))


@operation
def weakest(typing, cells):
    """The value of a type that beats no other: the least one, or the largest of a minimum."""
    return cells.element(cells), lambda context, *_: least(cells)


@operation
def many_weakest(typing, cells):
    """Whether cells may equal the weakest value and have other bits: see `types.Order`."""
    known = ir.IntType(1)(cells.order.many_weakest)
    return types.boolean(cells), lambda context, *_: known


@operation
def shifted(typing, cells, offset):
    """The address of another cell."""

    def generate(context, builder, signature, arguments):
        size = INT64(cells.element.bitwidth // 8)
        return builder.add(arguments[0], builder.mul(arguments[1], size))

    return cells(cells, types.int64), generate


@operation
def store_inside(typing, cells, start, stop, vector):
    """Write the lanes l with `start + l` in [0, stop), at that offset."""

    def generate(context, builder, signature, arguments):
        address, start, stop, values = arguments
        pointer = pointer_to(builder, address, start, vector_type(vector))
        mask = lanes_inside(builder, start, stop, vector.lanes)
        arguments = [values, pointer, INT32(1), mask]
        call_masked(builder, "store", vector, ir.VoidType(), arguments)
        return context.get_dummy_value()

    return types.void(cells, types.int64, types.int64, vector), generate


@operation
def fence(typing):
    """Nothing written before is seen after what is written later, whatever cache it passed."""

    def generate(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
