"""What the public functions have in common: which tensors they take, and what numbers mean."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex, TypeAlias, TypeVar

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ...rules.arguments import LARGEST, entries, integer

IntOrSequence: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
Prepared = TypeVar("Prepared", bound=Callable[..., Any])


def refuse_masks(name: str, *tensors: Any) -> None:
    if any(isinstance(tensor, torch.masked.MaskedTensor) for tensor in tensors):
        raise TypeError(f"{name}: input is a MaskedTensor, and this takes no masks")


def elsewhere(
    public: Callable[..., Any], tensors: tuple[Any, ...], rest: tuple[Any, ...], refusal: str = ""
) -> Any:
    """What answers a call in fastpool's place, or NotImplemented once the tensors are checked.

    That is whatever overrides PyTorch's functions too, or, in a file of ONNX, PyTorch's own; a
    `refusal` says why that cannot be.
    """
    name = public.__name__
    if has_torch_function(tensors):  # a Proxy of torch.fx, a subclass, or below a mode
        refuse_masks(name, *tensors)
        return handle_torch_function(public, tensors, *tensors, *rest)
    for label, tensor in zip(("input", "indices"), tensors, strict=False):
        check_tensor(name, tensor, label)
    if not is_exported():
        return NotImplemented
    if refusal:
        raise NotImplementedError(f"{name}: {refusal}")
    return getattr(torch.nn.functional, name)(*tensors, *rest)


def check_tensor(name: str, tensor: object, label: str) -> None:
    """Raise unless there is a tensor, and where this computes."""
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name}: {label} must be a torch.Tensor, got {type(tensor).__name__}")
    if tensor.device.type not in ("cpu", "meta"):
        where = tensor.device
        raise NotImplementedError(f"{name}: {label} is on {where}, and this computes on CPUs")


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


def pads(function: str, value: Any, axes: int) -> list[Any]:
    """The padding, which is the same at both ends of an axis, as PyTorch has it."""
    found = numbers(function, "padding", value, axes)
    if axes < len(found) == 2 * axes:  # what operators have for two numbers an axis
        raise ValueError(f"{function}: padding must have {axes} entries, got {len(found)}")
    return found


def output_sizes(function: str, value: Any, shape: Sequence[Any], axes: int) -> list[Any]:
    """How many windows each axis is to have, those of None looked up in the input's shape."""
    found = entries(value)
    values = (value,) * axes if found is None else found
    # If there are too many or too few, the geometry says so, and needs numbers to say it.
    kept = shape[len(shape) - axes :] if len(values) == axes <= len(shape) else (1,) * len(values)
    return [
        _plain(size) if each is None else number(function, "output_size", each)
        for each, size in zip(values, kept, strict=True)
    ]


def _plain(size: Any) -> Any:
    """A size as a number: `torch.jit.trace`, whose programs are for one size, has tensors."""
    if not isinstance(size, torch.Tensor):
        return size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return int(size)


def number(function: str, name: str, value: Any) -> Any:
    """An integer; the symbols of a compiler stay symbols."""
    return value if isinstance(value, torch.SymInt) else integer(function, name, value, -LARGEST)


def prepare(public: Prepared) -> Prepared:
    """Tell compilers of a public function, and let it refuse `torch.jit.script`."""
    name = public.__name__

    def refuse(*_: Any) -> None:
        raise RuntimeError(f"{name}: torch.jit.script does not take it; use {_instead(name)}")

    # One step of a graph: `torch.compile` cannot trace the choices inside below the
    # transformations of `torch.func`.
    torch.compiler.allow_in_graph(public)
    # Asked before anything is compiled: once that has failed, a class is "redefined" ever after.
    vars(public)["__prepare_scriptable__"] = refuse
    return public


# What PyTorch lacks, or has in another sense.
_OWN = "min_pool", "lp_pool"


def _instead(name: str) -> str:
    """What takes the place of a function there: PyTorch's of that name, if it has the same."""
    if name.startswith(_OWN):
        return "torch.jit.trace"
    return (
        f"torch.nn.functional.{name}, and for modules call"
        " fastpool.interop.torch.restore_pooling(model) first"
    )
