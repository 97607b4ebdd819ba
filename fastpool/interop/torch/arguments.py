"""What the public functions have in common: which tensors they take, and what numbers mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex, TypeAlias

import torch

from ...rules.arguments import LARGEST, entries, integer

IntOrSequence: TypeAlias = SupportsIndex | Sequence[SupportsIndex]


def refuse_masks(name: str, input: torch.Tensor) -> None:  # noqa: A002 (PyTorch's name)
    if isinstance(input, torch.masked.MaskedTensor):
        raise TypeError(f"{name}: input is a MaskedTensor, and this takes no masks")


def check_tensor(name: str, input: object) -> None:  # noqa: A002
    """Raise unless `input` is a tensor, and where this computes."""
    if not isinstance(input, torch.Tensor):
        raise TypeError(f"{name}: input must be a torch.Tensor, got {type(input).__name__}")
    if input.device.type not in ("cpu", "meta"):
        raise NotImplementedError(f"{name}: input is on {input.device}, and this computes on CPUs")


def is_exported() -> bool:
    """Whether a file of ONNX is made."""
    # The last question costs 2 us.
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()
    return recorded and torch.onnx.is_in_onnx_export()


def strides(name: str, stride: Any, kernel: list[Any], axes: int) -> list[Any]:
    """The strides; as in PyTorch, an empty sequence is the default too."""
    if stride is None or (isinstance(stride, Sequence) and not stride):
        return kernel
    return numbers(name, "stride", stride, axes)


def numbers(function: str, name: str, value: Any, axes: int) -> list[Any]:
    """What PyTorch takes for one number an axis: one for all, or as many; of others, as is."""
    if type(value) is int and abs(value) <= LARGEST:
        return [value] * axes
    values = entries(value)
    if values is None:
        values = (value,)
    if len(values) == 1:
        values *= axes
    # How large a number must be, the geometry says.
    return [number(function, name, each) for each in values]


def number(function: str, name: str, value: Any) -> Any:
    """An integer; the symbols of a compiler stay symbols."""
    return value if isinstance(value, torch.SymInt) else integer(function, name, value, -LARGEST)


def prepare(public: Callable[..., Any], advice: str) -> Callable[..., Any]:
    """Tell compilers of a public function; returned is what refuses `torch.jit.script`."""

    def refuse(*_: Any) -> None:
        raise RuntimeError(f"{public.__name__}: torch.jit.script does not take it; use {advice}")

    # One step of a graph: `torch.compile` cannot trace the choices inside below the
    # transformations of `torch.func`.
    torch.compiler.allow_in_graph(public)
    # Asked before anything is compiled: once that has failed, a class is "redefined" ever after.
    vars(public)["__prepare_scriptable__"] = refuse
    return refuse


def own(name: str) -> str:
    """The advice for a function that PyTorch has too."""
    return (
        f"torch.nn.functional.{name}, and for modules call"
        " fastpool.interop.torch.restore_pooling(model) first"
    )
