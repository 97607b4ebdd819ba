"""What a call costs that has next to nothing to do, beside the same call of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

import fastpool

from ...api.types import BackendName
from . import measure
from .measure import Disagreement, interleaved, same
from .peers import FASTPOOL, NUMPY
from .problems import Problem, load

INDICES, BACKWARD, UNPOOL = "indices", "backward", "unpool"
VALUES = "values"
# By what is computed: calls that take no arguments.
Calls = dict[str, Callable[..., Any]]


def measure_overhead(threads: int, rounds: int) -> dict[tuple[str, str], float]:
    """The seconds of one call, by what is computed and who computes it.

    Raises
    ------
    NotImplementedError
        The Numba backend cannot be used here.
    Disagreement
        The results of one are not those of the NumPy backend.
    """
    load("numba").set_num_threads(threads)
    problem = measure.TINY
    everyone = {FASTPOOL: by_fastpool(problem, "numba"), NUMPY: by_fastpool(problem, "numpy")}
    with suppress(NotImplementedError):  # it need not be installed
        everyone["torch"] = by_torch(problem, threads)
    expected = {what: results(call()) for what, call in everyone[NUMPY].items()}
    calls = {}
    for what, right in expected.items():
        for name, each in everyone.items():
            fresh, found = each[what], each[what]()
            if not same(results(found), right):
                raise Disagreement(f"{name} and the NumPy backend disagree: {problem}, {what}")
            # PyTorch's calls have no `out`.
            calls[what, name] = fresh if name == "torch" else partial(fresh, out=found)
            if name == FASTPOOL:
                calls[what, f"{FASTPOOL} without out="] = fresh
    return interleaved(calls, rounds, measure.TINY_CALLS)


def by_fastpool(problem: Problem, backend: BackendName) -> Calls:
    """fastpool's calls, each of which takes `out`."""
    pool = partial(fastpool.maxpool2d, problem.x, *problem.arguments, backend=backend)
    try:
        output, indices = pool(return_indices=True)
    except fastpool.BackendUnavailable as error:
        raise NotImplementedError(str(error)) from error
    kernel, stride, padding, dilation = problem.arguments
    backward, unpool = fastpool.maxpool2d_backward, fastpool.maxunpool2d
    gradient, shape = problem.grad_output, problem.shape
    return {
        VALUES: pool,
        INDICES: partial(pool, return_indices=True),
        BACKWARD: partial(backward, gradient, indices, shape, *problem.arguments, backend=backend),
        UNPOOL: partial(
            unpool, output, indices, kernel, stride, padding, dilation=dilation, backend=backend
        ),
    }


def by_torch(problem: Problem, threads: int) -> Calls:
    """PyTorch's calls as users make them; the backward is the operator that autograd calls."""
    torch = load("torch")
    torch.set_num_threads(threads)
    functions, operators = torch.nn.functional, torch.ops.aten
    x, gradient = torch.from_numpy(problem.x), torch.from_numpy(problem.grad_output)
    pool = partial(functions.max_pool2d, x, *problem.arguments)
    output, indices = pool(return_indices=True)
    pairs = [[argument] * 2 for argument in problem.arguments]
    backward = operators.max_pool2d_with_indices_backward
    return {
        VALUES: partial(torch.max_pool2d, x, *problem.arguments),
        INDICES: partial(pool, return_indices=True),
        BACKWARD: partial(backward, gradient, x, *pairs, False, indices),
        UNPOOL: partial(functions.max_unpool2d, output, indices, *problem.arguments[:3]),
    }


def results(found: Any) -> tuple[np.ndarray, ...]:
    """What a call returned, as a tuple of arrays."""
    arrays = found if isinstance(found, tuple) else (found,)
    return tuple(np.asarray(array) for array in arrays)
