"""What functions that are called by their address take: declared once, checked wherever it counts.

A kernel calls the functions of a row by addresses from its table, and nothing in a call by address
says how many words the other side reads: a word too few is undefined behaviour. So each such
function is marked with its signature, which its parameters must match when it is defined, its
constants when it is compiled, and the arguments of every call when the caller is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import types

from ..vectors.types import operation

Marked = TypeVar("Marked", bound=Callable[..., Any])

_signatures: dict[Callable[..., Any], Signature] = {}


class Signature:
    """The parameters of some functions that are called by address.

    Parameters
    ----------
    parameters : str
        Their names: 64-bit integers, most of them addresses.
    constants : str
        The names of parameters that are fixed when the function is compiled. Calls do not pass
        them.
    """

    def __init__(self, parameters: str, constants: str = "") -> None:
        self.parameters = tuple(parameters.split())
        self.constants = tuple(constants.split())
        self.call = _caller(len(self.parameters), len(self.constants))
        """In compiled code: call the function at an address with a tuple of integers."""


def kernel(signature: Signature) -> Callable[[Marked], Marked]:
    """Mark a function that is compiled, and called by address, with its signature.

    Raises
    ------
    TypeError
        Its parameters are others.
    """

    def mark(function: Marked) -> Marked:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        declared = signature.parameters + signature.constants
        if names != declared:
            raise TypeError(f"{function.__name__} takes {names}, and its signature says {declared}")
        _signatures[function] = signature
        return function

    return mark


def signature_of(function: Callable[..., Any]) -> Signature:
    """The signature that a function was marked with."""
    return _signatures[function]


def _caller(count: int, constants: int) -> Any:
    @operation
    def call(typing, address, arguments):  # type: ignore[no-untyped-def]
        if len(arguments) != count:
            raise TypeError(f"a call by address with {len(arguments)} arguments, not {count}")

        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            word = ir.IntType(64)
            function = ir.FunctionType(word, [word] * (count + constants))
            numbers = [builder.extract_value(values[1], i) for i in range(count)]
            # Nobody reads the words of constants.
            numbers += [ir.Constant(word, ir.Undefined)] * constants
            return builder.call(builder.inttoptr(values[0], function.as_pointer()), numbers)

        return types.int64(types.int64, arguments), generate

    return call


# A kernel: the walk through some rows of a call. It returns the C-order position of a bad index, or
# -1.
WALK = Signature("x output places scratch table first_row last_row")
