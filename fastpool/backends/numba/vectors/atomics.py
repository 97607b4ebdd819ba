"""Numbers in memory that several threads read and change."""

from __future__ import annotations

from numba.core import types

from .types import INT64, operation


def _changed(kind):
    """What changes a number by another one, in one step; the result is what stood there."""

    def generate(context, builder, signature, arguments):
        address, number = arguments
        return builder.atomic_rmw(kind, _place(builder, address), number, "seq_cst")

    return types.int64(types.int64, types.int64), generate


def _place(builder, address):
    return builder.inttoptr(address, INT64.as_pointer())


@operation
def added(typing, address, number):
    """Add to what stands at an address, which other threads change too; what stood there."""
    return _changed("add")


@operation
def lowered(typing, address, number):
    """Make what stands at an address the number, if that is less; -1 is more than all others."""
    return _changed("umin")


@operation
def seen(typing, address):
    """What stands at an address, with all that was written before."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_place(builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@operation
def shown(typing, address, number):
    """Write a number at an address: who sees it there sees all that was written before."""

    def generate(context, builder, signature, arguments):
        address, number = arguments
        builder.store_atomic(number, _place(builder, address), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate
