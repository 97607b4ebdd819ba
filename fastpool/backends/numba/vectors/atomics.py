"""Numbers in memory that several threads read and change."""

from __future__ import annotations

from numba.core import types

from .types import INT64, operation


@operation
def added(typing, address, number):
    """Add to what stands at an address, which other threads change too; what stood there."""

    def generate(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.atomic_rmw("add", place, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@operation
def lowered(typing, address, number):
    """Make what stands at an address the number, if that is less; -1 is more than all others."""

    def generate(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.atomic_rmw("umin", place, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@operation
def seen(typing, address):
    """What stands at an address, with all that was written before."""

    def generate(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(types.int64), generate


@operation
def shown(typing, address, number):
    """Write a number at an address: who sees it there sees all that was written before."""

    def generate(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        builder.store_atomic(arguments[1], place, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate
