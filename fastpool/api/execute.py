"""The one path of every call: understand, allocate, run, raise.

``understand`` checks the arguments and plans the work, once for all calls of a kind: what it finds
out is a `Task`, kept by all that chooses the answer. So the first call and the ten-thousandth
differ by a look into a table.

::

    arguments, arrays ──> understand (kept) ──> allocate ──> run ──> raise, or return
                             │    │
                       rules.calls └─ dispatch: the plan of a backend
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import numpy as np

from ..backends.protocol import Plan
from ..dispatch import defaults, economy, table
from ..process import log
from ..rules import arrays, calls
from ..rules.arrays import Storage, storage_of
from ..rules.call import Call, Function
from . import guests

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Array = TypeVar("Array", default=np.ndarray)

    class PoolResult(NamedTuple, Generic[Array]):
        """Of arrays of one kind; Python 3.10 has no such tuple, but its checkers have."""

        output: Array
        indices: Array
else:

    class PoolResult(NamedTuple):
        """What a pooling returns with ``return_indices=True``.

        Attributes
        ----------
        output : ndarray
            The value of every window.
        indices : ndarray of the shape of `output`
            Where in the input, or in the window, each value stands.
        """

        output: np.ndarray
        indices: np.ndarray


class Task:
    """What is known of all calls of one kind."""

    __slots__ = ("backend", "call", "given", "plan", "results", "storages")

    def __init__(
        self, call: Call, backend: str, storages: tuple[Storage, ...], given: bool
    ) -> None:
        self.call = call
        self.backend = backend
        self.storages = storages  # of inputs and outputs
        self.given = given  # whether there is an `out`
        self.results = call.results
        self.plan: Plan | None = None  # until the first run, and while "auto" is undecided


class _Nothing:
    """The plan for results without a cell, and for gradients of none."""

    reason = "there is nothing to do"

    def run(self, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> None:
        for output in outputs:
            output[...] = 0


# Types whose values a table tells apart by value and type: ``2 == 2.0 == np.int64(2)`` and
# ``1 == True``. Anything else might have a hash that is an error, or the end of the process, as
# that of a tuple nested a million times.
_PLAIN = frozenset((int, bool, str, type(None)))
_MOST = 4096  # tasks
_tasks: dict[Hashable, Task] = {}


def execute(
    function: Function,
    inputs: tuple[Any, ...],
    arguments: tuple[Any, ...],
    out: Any,
    backend: object,
) -> Any:
    """Answer a call of a public function.

    Parameters
    ----------
    function : Function
        Which one.
    inputs : tuple of array_like
        Its arrays, in the order of ``function.inputs``.
    arguments : tuple
        What follows them in its signature, as the function of `rules.calls` for its part has it.
    out, backend
        As the user gave them.
    """
    if not (type(inputs[0]) is type(inputs[-1]) is np.ndarray):
        guest = guests.host_of(function.name, function.inputs, inputs, out)
        if guest is not None:
            return guest.load().answer(function, inputs, arguments, backend)
        inputs = arrays.as_arrays(function.name, function.inputs, inputs)
    chosen = defaults.resolve(function.name, backend)
    key = _key(function, chosen, inputs, arguments, out)
    task = _tasks.get(key)
    if task is None:
        task = new_task(understand(function, inputs, arguments), chosen, inputs, out)
        if key is not None:
            _keep(key, task)
    return run_task(task, inputs, out)


def execute_call(call: Call, inputs: tuple[np.ndarray, ...], out: Any, backend: object) -> Any:
    """Answer a call that an adapter has understood before.

    Raises
    ------
    ValueError
        The arrays are not those that it was understood for.
    """
    chosen = defaults.resolve(call.name, backend)
    key = call, chosen, tuple(map(storage_of, inputs)), facts_of(out)
    task = _tasks.get(key)
    if task is None:
        for array, expected in zip(inputs, call.inputs, strict=True):
            if (array.shape, array.dtype.newbyteorder("=")) != expected:
                found = f"shape {array.shape} and dtype {array.dtype}"
                raise ValueError(f"{call.name}: got {found}, expected {expected}")
        task = new_task(call, chosen, inputs, out)
        if out is None or key[-1] is not None:
            _keep(key, task)
    return run_task(task, inputs, out)


def run_task(task: Task, inputs: tuple[np.ndarray, ...], out: Any) -> Any:
    """Answer a call that is known; its arrays lie in memory as those of the first one did."""
    outputs = _given(task, inputs, out) if task.given else _fresh(task)
    offender = fill(task, inputs, outputs)
    if offender is not None:
        codes = inputs[1]
        position = tuple(map(int, np.unravel_index(offender, codes.shape)))
        raise task.call.bad_index(position, codes[position])
    if len(outputs) == 1:
        return out if task.given else outputs[0]
    if task.given:
        pairs = zip(outputs, out, strict=True)
        outputs = tuple(new if old is None else old for new, old in pairs)
    return PoolResult(*outputs)


def fill(task: Task, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]) -> int | None:
    """Fill outputs that are known to be right; the position of the first bad index, or None."""
    try:
        return (task.plan or _planned(task)).run(inputs, outputs)
    except MemoryError:
        raise arrays.out_of_memory(task.call.name) from None


def _planned(task: Task) -> Plan:
    """The plan of a task, which keeps it unless "auto" has yet to decide."""
    call, chosen, final = task.call, task.backend, True
    if call.geometry.empty:
        plan: Plan = _Nothing()
        if chosen != defaults.AUTO:
            table.load(chosen)
    elif chosen == defaults.AUTO:
        plan, final = economy.choose(call, task.storages)
    else:
        loaded = table.load(chosen)
        if not loaded.answers(call):
            loaded = table.load(table.PLAIN)
        plan = loaded.plan(call, task.storages)
    if final:
        shape, dtype = call.geometry.input_shape, call.dtype
        log.debug("%s of %s %s: %s", call.name, shape, dtype, plan.reason)
        task.plan = plan
    return plan


def _key(
    function: Function,
    chosen: str,
    inputs: tuple[np.ndarray, ...],
    arguments: tuple[Any, ...],
    out: Any,
) -> Hashable:
    """What tells calls apart; None for one that is understood anew each time."""
    kinds = plain(arguments)
    if kinds is None:
        return None
    facts = None
    if out is not None:
        facts = facts_of(out)
        if facts is None:
            return None
    x = inputs[0]
    key = function.name, chosen, x.shape, x.strides, x.dtype, arguments, kinds, facts
    if len(inputs) == 1:
        return key
    codes = inputs[1]
    return key, codes.shape, codes.strides, codes.dtype


def plain(arguments: tuple[Any, ...]) -> Any:
    """The types of arguments that a table can tell apart, or None."""
    kinds: Any = tuple(map(type, arguments))
    if _PLAIN.issuperset(kinds):
        return kinds
    kinds = tuple(map(_kind, arguments))
    return None if None in kinds else kinds


def _kind(value: object, depth: int = 0) -> Any:
    """The type of a plain value, or those of a tuple's entries; None for anything else."""
    if type(value) is not tuple:
        return type(value) if type(value) in _PLAIN or isinstance(value, np.dtype) else None
    if depth > 1:
        return None
    kinds = tuple(_kind(entry, depth + 1) for entry in value)
    return None if None in kinds else kinds


def facts_of(out: Any) -> Hashable:
    """What must be known of `out`, but for its address; None if it is no plain array or pair."""
    if type(out) is np.ndarray:
        return out.shape, out.strides, out.dtype, out.flags.writeable
    if isinstance(out, tuple) and len(out) == 2:
        pair = facts_of(out[0]), facts_of(out[1])
        return None if None in pair else pair
    return None


def understand(function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...]) -> Call:
    """The call of a function, once its arrays are known to be right.

    Of these it asks for nothing but the shape and NumPy's dtype.
    """
    name, first = function.name, inputs[0]
    make = _MAKERS[function.part, function.operation.picks_cell, function.adaptive]
    arrays.check_dtype(name, function.inputs[0], first.dtype)
    dtypes = tuple(array.dtype for array in inputs)
    if function.part == "forward":
        return make(function, "x", first.shape, *dtypes, *arguments)
    if function.part == "unpool":
        call = make(function, first.shape, *dtypes, *arguments)
    else:
        call = make(function, *dtypes, *arguments)
        shape = call.geometry.output_shape
        arrays.check_shape(name, "grad_output", first.shape, shape)
    if len(inputs) == 2:
        call.check_indices(inputs[1].shape, inputs[1].dtype)
    return call


# By what a function does, whether its operation picks a cell, and whether its windows are adaptive.
_MAKERS: dict[tuple[str, bool, bool], Callable[..., Call]] = {
    ("forward", True, False): calls.forward,
    ("backward", True, False): calls.backward,
    ("unpool", True, False): calls.unpool,
    ("forward", False, False): calls.average,
    ("backward", False, False): calls.average_backward,
    ("forward", True, True): calls.adaptive,
    ("backward", True, True): calls.adaptive_backward,
    ("forward", False, True): calls.adaptive_average,
    ("backward", False, True): calls.adaptive_average_backward,
}


def new_task(call: Call, backend: str, inputs: tuple[np.ndarray, ...], out: Any) -> Task:
    """A task, once `out` is known to be right."""
    storages, results = [storage_of(array) for array in inputs], call.results
    outs: tuple[Any, ...] = (out,)
    if len(results) == 2:
        if out is not None and not (isinstance(out, tuple) and len(out) == 2):
            raise TypeError(
                f"{call.name}: out must be a pair (output, indices) with return_indices"
            )
        outs = out or (None, None)
    for (shape, dtype), target in zip(results, outs, strict=True):
        if target is None:
            storages.append(Storage.in_order(shape, dtype))
        else:
            storages.append(arrays.check_output(call.name, "out", target, shape, dtype))
    given = any(target is not None for target in outs)
    return Task(call, backend, tuple(storages), given)


def _fresh(task: Task) -> tuple[np.ndarray, ...]:
    """New arrays for the results."""
    try:
        shape, dtype = task.results[0]
        if len(task.results) == 1:
            return (np.empty(shape, dtype),)
        return np.empty(shape, dtype), np.empty(*task.results[1])
    except (MemoryError, ValueError):  # ValueError: sizes whose product has no 64 bits
        raise arrays.too_large(task.call.name, task.results) from None


def _given(task: Task, inputs: tuple[np.ndarray, ...], out: Any) -> tuple[np.ndarray, ...]:
    """The arrays of `out`, and new ones for what it lacks, which share no memory."""
    name = task.call.name
    if type(out) is np.ndarray:  # the usual case: half of the time
        arrays.check_apart(name, "out", out, inputs)
        return (out,)
    made = out if isinstance(out, tuple) else (out,)
    used = list(inputs)
    fresh = _fresh(task) if any(target is None for target in made) else made
    for new, target in zip(fresh, made, strict=True):
        array = new if target is None else np.asarray(target)
        if target is not None:
            arrays.check_apart(name, "out", array, used)
        used.append(array)
    return tuple(used[len(inputs) :])


def _keep(key: Hashable, task: Task) -> None:
    if len(_tasks) >= _MOST:
        _tasks.clear()
    _tasks[key] = task
