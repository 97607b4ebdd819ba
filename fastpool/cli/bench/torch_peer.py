"""Pooling by PyTorch, for `peers`, which lists all contenders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .problems import (
    ADAPTIVE_AVERAGE,
    ADAPTIVE_MAXIMUM,
    AVERAGE,
    BACKWARD,
    CHANNELS_LAST,
    CLOSE,
    DIRECT_TAPS,
    FLAT,
    MAXIMUM,
    MINIMUM,
    MODE,
    NORM,
    NORM_TYPE,
    SUM,
    VALUES,
    WINDOW,
    Contender,
    Problem,
    load,
)


def torch(problem: Problem, task: str, threads: int) -> Contender:
    """PyTorch's operators, called without autograd, which cannot have preallocated outputs.

    Autograd is asked only for what has no operator of its own: gradients of norms and of adaptive
    averages.
    """
    torch = load("torch")
    if task == WINDOW:
        raise NotImplementedError("torch: no window indices")
    if task in (CHANNELS_LAST, BACKWARD) and not problem.floats:
        raise NotImplementedError("torch: integers as NCHW, and without a gradient")
    if problem.member == MODE or (task == FLAT and not problem.picks):
        raise NotImplementedError("torch: no mode, and no indices of sums")
    torch.set_num_threads(threads)
    x = torch.from_numpy(problem.x)
    if task == CHANNELS_LAST:
        formats = {2: torch.channels_last, 3: torch.channels_last_3d}
        if problem.axes not in formats:
            raise NotImplementedError("torch: lines have no channels-last format")
        x = x.to(memory_format=formats[problem.axes])
    return MEMBERS[problem.member](torch, problem, task, x)


def _arguments(problem: Problem, count: int = 4) -> list[list[int]]:
    """The first of `Problem.arguments`, one entry an axis."""
    return [[argument] * problem.axes for argument in problem.arguments[:count]]


def _maximum(torch: Any, problem: Problem, task: str, x: Any) -> Contender:
    if problem.axes == 1:
        raise NotImplementedError("torch: maxima of planes and volumes")
    if task == VALUES:
        # This has no `out`. It is the call that users make.
        pool = getattr(torch, f"max_pool{problem.axes}d")
        call: Callable[..., Any] = partial(pool, x, *problem.arguments)
        return Contender(call, (call().numpy(),))
    name = f"max_pool{problem.axes}d_with_indices"
    windows = _arguments(problem)
    return _picked(torch, problem, task, x, name, windows, (*windows, False))


def _adaptive_maximum(torch: Any, problem: Problem, task: str, x: Any) -> Contender:
    if task == VALUES:
        raise NotImplementedError("torch: adaptive maxima come with indices")
    name = f"adaptive_max_pool{problem.axes}d"
    return _picked(torch, problem, task, x, name, [[problem.windows] * problem.axes], ())


def _picked(
    torch: Any,
    problem: Problem,
    task: str,
    x: Any,
    name: str,
    forward: Sequence[Any],
    backward: Sequence[Any],
) -> Contender:
    """Maxima and their indices, or the gradient, by the operators of that name.

    What `forward` and `backward` hold follows the input.
    """
    pool = getattr(torch.ops.aten, name)
    # The outputs are channels-last if x is.
    output, indices = pool(x, *forward)
    if task == BACKWARD:
        arguments = (torch.from_numpy(problem.grad_output), x, *backward, indices)
        spread = getattr(torch.ops.aten, f"{name}_backward")
        result = spread(*arguments)
        call = partial(spread.grad_input, *arguments, grad_input=result)
        return Contender(call, (result.numpy(),))
    call = partial(pool.out, x, *forward, out=output, indices=indices)
    return Contender(call, (output.numpy(), indices.numpy()))


def _minimum(torch: Any, problem: Problem, task: str, x: Any) -> Contender:
    """The maximum of the negated input, negated: what users write."""
    if task == BACKWARD or not problem.floats or problem.axes != 2:
        raise NotImplementedError("torch: minima of planes of floats, without a gradient")
    operator = torch.ops.aten.max_pool2d_with_indices
    windows = _arguments(problem)

    def call() -> Any:
        if task == VALUES:
            return (torch.max_pool2d(x.neg(), *problem.arguments).neg_(),)
        output, indices = operator(x.neg(), *windows)
        return output.neg_(), indices

    return Contender(call, tuple(each.numpy() for each in call()))


def _average(torch: Any, problem: Problem, task: str, x: Any) -> Contender:
    """Averages, and sums, which are averages with 1 as the divisor; lines as planes of one row."""
    windows = _arguments(problem, 3)
    if problem.dilation > 1 or (task == BACKWARD and problem.member == SUM):
        raise NotImplementedError("torch: no dilated averages, and no gradient of sums")
    axes, shape = max(problem.axes, 2), problem.output_shape
    if problem.axes == 1:
        x = x.unsqueeze(-2)
        windows = [[neutral, *entry] for neutral, entry in zip((1, 1, 0), windows, strict=True)]
        shape = (*shape[:2], 1, shape[2])
    # Windows stay inside (no `ceil_mode`), and padding counts.
    options = (*windows, False, True, 1 if problem.member == SUM else None)
    pool = getattr(torch.ops.aten, f"avg_pool{axes}d")
    exact = problem.kernel**problem.axes <= DIRECT_TAPS
    if not problem.floats:

        def rounded() -> Any:
            return pool(x.float(), *options).round_().to(getattr(torch, problem.result))

        return Contender(rounded, (rounded().numpy().reshape(problem.output_shape),))
    if task == BACKWARD:
        pool = getattr(torch.ops.aten, f"avg_pool{axes}d_backward")
        gradient = torch.from_numpy(problem.grad_output).reshape(shape)
        result = pool(gradient, x, *options)
        call = partial(pool.grad_input, gradient, x, *options, grad_input=result)
        result = result.reshape(problem.shape)
    else:
        result = pool(x, *options)
        call = partial(pool.out, x, *options, out=result)
        result = result.reshape(problem.output_shape)
    return Contender(call, (result.numpy(),), tolerance=0 if exact else CLOSE)


def _adaptive_average(torch: Any, problem: Problem, task: str, x: Any) -> Contender:
    """`adaptive_avg_pool2d` and its like, which call the mean where there is one window."""
    functions = torch.nn.functional
    pool = getattr(functions, f"adaptive_avg_pool{problem.axes}d")
    if task == BACKWARD:
        return _by_autograd(torch, problem, x, lambda x: pool(x, problem.windows))
    output = pool(x, problem.windows)
    if problem.windows == 1:
        axes = list(range(2, 2 + problem.axes))
        call: Callable[..., Any] = partial(torch.mean, x, axes, keepdim=True, out=output)
    else:
        operator = getattr(torch.ops.aten, f"adaptive_avg_pool{problem.axes}d").out
        call = partial(operator, x, [problem.windows] * problem.axes, out=output)
    call()
    return Contender(call, (output.numpy(),), tolerance=CLOSE)


def _norm(torch: Any, problem: Problem, task: str, x: Any) -> Contender:
    if problem.padding or problem.dilation > 1:
        raise NotImplementedError("torch: norms without padding and dilation")
    pool = partial(
        getattr(torch.nn.functional, f"lp_pool{problem.axes}d"),
        norm_type=NORM_TYPE,
        kernel_size=problem.kernel,
        stride=problem.stride,
    )
    if task == BACKWARD:
        return _by_autograd(torch, problem, x, pool)
    call = partial(pool, x)
    return Contender(call, (call().numpy(),), tolerance=CLOSE)


def _by_autograd(torch: Any, problem: Problem, x: Any, pool: Callable[..., Any]) -> Contender:
    """The gradient that autograd computes from what a forward pass before has kept."""
    x = x.detach().requires_grad_()
    output, gradient = pool(x), torch.from_numpy(problem.grad_output)
    call = partial(torch.autograd.grad, output, x, gradient, retain_graph=True)
    return Contender(call, (call()[0].numpy(),), tolerance=CLOSE)


MEMBERS: dict[str, Callable[[Any, Problem, str, Any], Contender]] = {
    MAXIMUM: _maximum,
    MINIMUM: _minimum,
    AVERAGE: _average,
    SUM: _average,
    NORM: _norm,
    ADAPTIVE_MAXIMUM: _adaptive_maximum,
    ADAPTIVE_AVERAGE: _adaptive_average,
}
