"""Vectors as Numba types, in portable LLVM IR.

Numba vectorises loops where it can prove enough about them; with strides, taps and borders known
at run time it cannot. A `Vector` is a value of some lanes; `Cells` is an address where cells of
one type lie, read and written a vector at a time. LLVM lowers both to what the processor has,
down to SSE2 or NEON: nothing here names an instruction set. What is done with vectors stands in
`memory` (loads and stores), `transpose` and `lanes` (arithmetic).

None stands for cells that nobody wants: loads give None, and other operations on None do
nothing. So one kernel serves with codes and without.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import wraps
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

from .registers import masked_bits

MASKED_BITS = masked_bits()
MASKS = MASKED_BITS == 8  # lie in registers of their own, not in lanes
# Of a vector of cells. AVX-512 has 32 registers of 64 bytes, and masks beside them; where masks lie
# in the lanes of 16 narrower registers, vectors of 64 bytes are kept in memory half of the time: on
# an AMD Zen 3, (16, 64, 112, 112) k3 s2 p1 with flat indices takes 1.5 times as long.
BYTES = 64 if MASKS else 32
INT32, INT64 = ir.IntType(32), ir.IntType(64)


class Order(NamedTuple):
    """Which of two values an operation picks: see `lanes.beats`."""

    sign: int = 1  # 1: the larger one, -1: the lesser one
    truth: bool = False  # whether cells are truth values: bytes, of which all but 0 are equal

    @property
    def many_weakest(self) -> bool:
        """Whether what fills lanes outside may equal a cell of other bits: any True may."""
        return self.truth and self.sign < 0


LARGEST = Order()


class Vector(types.Type):
    """As many values of one type as a vector has lanes."""

    def __init__(self, element: types.Type, lanes: int, order: Order = LARGEST) -> None:
        self.element, self.lanes, self.order = element, lanes, order
        super().__init__(name=f"Vector({element}, {lanes}, {tuple(order)})")


class Cells(types.Type):
    """The address of cells of one type, whose loads are vectors."""

    def __init__(self, element: types.Type, lanes: int, order: Order = LARGEST) -> None:
        self.element, self.lanes, self.order = element, lanes, order
        super().__init__(name=f"Cells({element}, {lanes}, {tuple(order)})")

    @property
    def vector(self) -> Vector:
        return Vector(self.element, self.lanes, self.order)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector_type(vector))


@register_model(Cells)
class _CellsModel(models.PrimitiveModel):
    """An integer, so that every kernel has the same binary interface."""

    def __init__(self, manager, cells):
        super().__init__(manager, cells, INT64)


def scalar_type(element):
    if isinstance(element, types.Float):
        return ir.FloatType() if element.bitwidth == 32 else ir.DoubleType()
    return ir.IntType(1 if element is types.boolean else element.bitwidth)


def vector_type(vector):
    return ir.VectorType(scalar_type(vector.element), vector.lanes)


def constants(lanes, kind, numbers):
    return ir.Constant(ir.VectorType(kind, lanes), list(numbers))


def broadcast(builder, scalar, lanes):
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, INT32(0))
    return builder.shuffle_vector(first, undefined, constants(lanes, INT32, [0] * lanes))


def resized(builder, values, element, target):
    """Integers in the lanes of a target: sign kept, or cut off."""
    if element.bitwidth == target.element.bitwidth:
        return values
    if element.bitwidth > target.element.bitwidth:
        return builder.trunc(values, vector_type(target))
    extend = builder.sext if element.signed else builder.zext
    return extend(values, vector_type(target))


BITS = 5  # of a number in a packed group


def pack(numbers: Iterable[int]) -> int:
    """Some numbers as one, a constant of compiled functions."""
    return sum(number << BITS * place for place, number in enumerate(numbers))


def unpack(kind: Any, packed: int) -> Any:
    """The named tuple whose numbers were packed."""
    count = len(kind._fields)
    return kind(*(packed >> BITS * place & 2**BITS - 1 for place in range(count)))


def generated(build: Any) -> Any:
    """An intrinsic: a function whose code is written in LLVM's language."""
    return intrinsic(prefer_literal=True)(build)


def operation(build: Any) -> Any:
    """An intrinsic, which does nothing where one of its cells or vectors is None."""

    def build_or_nothing(typing, *arguments):
        if any(isinstance(argument, types.NoneType) for argument in arguments):
            return types.none(*arguments), lambda context, *_: context.get_dummy_value()
        return build(typing, *arguments)

    return generated(wraps(build)(build_or_nothing))
