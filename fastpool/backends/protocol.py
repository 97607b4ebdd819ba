"""What a backend is: a module with the functions of `Backend`, which makes plans and runs them.

A plan is made once for all calls of a kind, and by the memory that their arrays lie in. To make one
compiles nothing; `Backend.ready` and `Backend.compile` are about that. So "auto" can ask what a
call would cost, `fastpool.warmup` can compile without a call, and jitted code can run what a plan
runs without Python.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from ..rules.arrays import Storage
from ..rules.call import Call


class BackendUnavailable(ImportError):
    """The backend that was asked for by name cannot be used here."""


class Plan(Protocol):
    """How a backend answers calls of one kind.

    Attributes
    ----------
    reason : str
        Which algorithm it takes and why, for the log.
    """

    @property
    def reason(self) -> str: ...

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> int | None:
        """Fill the outputs.

        The arrays have the shapes of the call and the memory of the plan. A forward has the input,
        and one output or two; a backward and an unpooling have values and indices, and one output.

        Returns
        -------
        int or None
            The C-order position of the first bad index, or None.
        """


class Entry(NamedTuple):
    """A plan as machine code: ``address(x, output, indices, scratch, table, 0, rows)``.

    All arguments are 64-bit integers, the first four of them addresses of cells. It returns -1, or
    0 or more if some index is bad, which need not be the first one.
    """

    address: int
    table: np.ndarray
    scratch: int  # bytes
    rows: int
    ranges: int = 1  # of rows, in which several threads can do them, each with its own scratch
    passed: int = 0  # bytes that it writes for the step that follows, instead of the output


class Service(NamedTuple):
    """What a foreign library may ask for: see `Backend.serve`.

    Attributes
    ----------
    operands : tuple of int
        How many cells each array has that comes in.
    results : tuple of int
        The same of those that are filled, the first of which is the output.
    sizes : tuple of int
        How many bytes these have.
    steps : tuple of Entry
        What fills them, one or two; none if that is the part of Python.
    x : int
        Which operand is the kernel's first array.
    indices : int
        Which of the operands and results has the indices; -1 if there are none.
    """

    operands: tuple[int, ...]
    results: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[Entry, ...]
    x: int = 0
    indices: int = -1


class Backend(Protocol):
    """The functions of a backend's module."""

    def plan(self, call: Call, storages: tuple[Storage, ...]) -> Plan:
        """How to answer a call whose inputs and outputs lie in this memory; it has some cells."""

    def answers(self, call: Call) -> bool:
        """Whether the backend has a way to answer a call; if not, NumPy answers."""

    def ready(self, plan: Plan) -> bool:
        """Whether a plan can run without compiling anything first; it may load files."""

    def compile(self, plan: Plan, complete: bool = False) -> None:
        """Compile what a plan needs.

        With `complete`, also what it needs for a bad index, and on the threads of a large call.

        Raises
        ------
        BackendUnavailable
            The compiler failed.
        """

    def steps(self, plan: Plan, threads: int) -> tuple[Entry, ...]:
        """A plan for so many threads that needs no Python, compiled: one step, two, or none."""

    def xla_handler(self, otherwise: int) -> int | None:
        """The address of a C function that XLA calls on its own buffers; None if there is none.

        It needs no Python. For what it cannot do, it calls the C function ``otherwise``, which
        takes and returns the same: services without steps, and failures, which are to be told.
        There is one such function in a process.
        """

    def serve(self, key: int, service: Service) -> None:
        """Tell that function what to do for a key, or what more it can do by now."""

    def describe(self) -> dict[str, str]:
        """What a bug report should say of it: versions, threads, the processor."""
