"""Calls that nothing but fastpool must see, which go past PyTorch's dispatcher.

The dispatcher calls an operator that is written in Python, and its derivatives, from C++: of a
small tensor a call takes 34 us so, and 75 if a gradient is to follow; without, it takes 14 and 31.
What else may see an operator is known beforehand: tensors and threads have sets of keys, by which
the dispatcher finds it. With the keys of plain tensors alone, it finds fastpool.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import torch

_C = torch._C


def _keys(*names: str) -> int:
    sets = (_C.DispatchKeySet(getattr(_C.DispatchKey, name)) for name in names)
    return reduce(or_, sets).raw_repr()


# Of tensors on the CPU that are what they seem, and of such that were made in inference mode. The
# rest are sparse, quantized, conjugated, wrapped or without memory.
_TENSORS = frozenset(
    (
        _keys("CPU", "ADInplaceOrView", "AutogradCPU", "AutocastCPU"),
        _keys("CPU", "AutocastCPU"),
    )
)
# Of threads, outside and inside of inference mode. Others trace, or are below a mode of
# `torch.utils._python_dispatch`, as those of compilers, exporters and `FlopCounterMode`.
_THREADS = frozenset((_keys("BackendSelect", "ADInplaceOrView"), _keys("BackendSelect")))


def is_plain(tensors: tuple[Any, ...]) -> bool:
    """Whether a call of an operator would end in fastpool and nowhere else."""
    for tensor in tensors:
        if _C._dispatch_keys(tensor).raw_repr() not in _TENSORS:
            return False
    # A profile names the operators.
    return (
        _C._dispatch_tls_local_include_set().raw_repr() in _THREADS
        and not torch.autograd._profiler_enabled()
    )


def has_gradient(tensors: tuple[Any, ...]) -> bool:
    """Whether a gradient is to follow the call."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def is_below_autograd() -> bool:
    """Whether PyTorch has taken care of gradients, and calls the kernel of an operator."""
    return bool(_C._dispatch_tls_is_dispatch_key_excluded("AutogradFunctionality"))


def in_one(function: Any, compute: Any) -> Any:
    """A function that has the derivatives of another, and computes in the step that keeps for them.

    Where these are two steps, as `torch.func` needs them, PyTorch reads a signature at every call.
    """

    class Direct(function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Any:
            output = compute(*arguments)
            function.setup_context(ctx, arguments, output)
            return output

        setup_context = torch.autograd.Function.setup_context  # none

    Direct.__name__ = Direct.__qualname__ = function.__name__
    return Direct
