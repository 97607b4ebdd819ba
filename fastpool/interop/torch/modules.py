"""PyTorch's pooling modules computed by fastpool, and models made of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

import torch

from . import adaptive, averages, functional, norms

Model = TypeVar("Model", bound=torch.nn.Module)
Kind = TypeVar("Kind", bound=type[torch.nn.Module])


def _computed_by(function: Callable[..., Any]) -> Callable[[Kind], Kind]:
    """Let a function compute a module, whose attributes have the names of its parameters."""
    names = [name for name in inspect.signature(function).parameters if name != "input"]

    def change(kind: Kind) -> Kind:
        def forward(self: torch.nn.Module, input: torch.Tensor) -> Any:  # noqa: A002
            return function(input, *[getattr(self, name) for name in names])

        def unpool(
            self: torch.nn.Module,
            input: torch.Tensor,  # noqa: A002
            indices: torch.Tensor,
            output_size: Any = None,
        ) -> Any:
            rules = self.kernel_size, self.stride, self.padding
            return function(input, indices, *rules, output_size)

        made: Any = kind
        made.forward = unpool if "indices" in names else forward
        made.forward.__qualname__ = f"{kind.__name__}.forward"
        # Strings, as annotations are in this file, make graphs of torch.fx that cannot be pickled.
        made.forward.__annotations__ = get_type_hints(made.forward)
        made.__prepare_scriptable__ = vars(function)["__prepare_scriptable__"]
        return kind

    return change


@_computed_by(functional.max_pool1d)
class MaxPool1d(torch.nn.MaxPool1d):
    """`torch.nn.MaxPool1d`, computed by fastpool: see `max_pool1d`."""


@_computed_by(functional.max_pool2d)
class MaxPool2d(torch.nn.MaxPool2d):
    """`torch.nn.MaxPool2d`, computed by fastpool: see `max_pool2d`."""


@_computed_by(functional.max_pool3d)
class MaxPool3d(torch.nn.MaxPool3d):
    """`torch.nn.MaxPool3d`, computed by fastpool: see `max_pool3d`."""


@_computed_by(averages.avg_pool1d)
class AvgPool1d(torch.nn.AvgPool1d):
    """`torch.nn.AvgPool1d`, computed by fastpool: see `avg_pool1d`."""


@_computed_by(averages.avg_pool2d)
class AvgPool2d(torch.nn.AvgPool2d):
    """`torch.nn.AvgPool2d`, computed by fastpool: see `avg_pool2d`."""


@_computed_by(averages.avg_pool3d)
class AvgPool3d(torch.nn.AvgPool3d):
    """`torch.nn.AvgPool3d`, computed by fastpool: see `avg_pool3d`."""


@_computed_by(adaptive.adaptive_max_pool1d)
class AdaptiveMaxPool1d(torch.nn.AdaptiveMaxPool1d):
    """`torch.nn.AdaptiveMaxPool1d`, computed by fastpool: see `adaptive_max_pool1d`."""


@_computed_by(adaptive.adaptive_max_pool2d)
class AdaptiveMaxPool2d(torch.nn.AdaptiveMaxPool2d):
    """`torch.nn.AdaptiveMaxPool2d`, computed by fastpool: see `adaptive_max_pool2d`."""


@_computed_by(adaptive.adaptive_max_pool3d)
class AdaptiveMaxPool3d(torch.nn.AdaptiveMaxPool3d):
    """`torch.nn.AdaptiveMaxPool3d`, computed by fastpool: see `adaptive_max_pool3d`."""


@_computed_by(adaptive.adaptive_avg_pool1d)
class AdaptiveAvgPool1d(torch.nn.AdaptiveAvgPool1d):
    """`torch.nn.AdaptiveAvgPool1d`, computed by fastpool: see `adaptive_avg_pool1d`."""


@_computed_by(adaptive.adaptive_avg_pool2d)
class AdaptiveAvgPool2d(torch.nn.AdaptiveAvgPool2d):
    """`torch.nn.AdaptiveAvgPool2d`, computed by fastpool: see `adaptive_avg_pool2d`."""


@_computed_by(adaptive.adaptive_avg_pool3d)
class AdaptiveAvgPool3d(torch.nn.AdaptiveAvgPool3d):
    """`torch.nn.AdaptiveAvgPool3d`, computed by fastpool: see `adaptive_avg_pool3d`."""


@_computed_by(norms.lp_pool1d)
class LPPool1d(torch.nn.LPPool1d):
    """The arguments of `torch.nn.LPPool1d`, computed by fastpool: see `lp_pool1d`."""


@_computed_by(norms.lp_pool2d)
class LPPool2d(torch.nn.LPPool2d):
    """The arguments of `torch.nn.LPPool2d`, computed by fastpool: see `lp_pool2d`."""


@_computed_by(norms.lp_pool3d)
class LPPool3d(torch.nn.LPPool3d):
    """The arguments of `torch.nn.LPPool3d`, computed by fastpool: see `lp_pool3d`."""


@_computed_by(functional.max_unpool1d)
class MaxUnpool1d(torch.nn.MaxUnpool1d):
    """`torch.nn.MaxUnpool1d`, computed by fastpool: see `max_unpool1d`."""


@_computed_by(functional.max_unpool2d)
class MaxUnpool2d(torch.nn.MaxUnpool2d):
    """`torch.nn.MaxUnpool2d`, computed by fastpool: see `max_unpool2d`."""


@_computed_by(functional.max_unpool3d)
class MaxUnpool3d(torch.nn.MaxUnpool3d):
    """`torch.nn.MaxUnpool3d`, computed by fastpool: see `max_unpool3d`."""


# PyTorch's modules, and fastpool's in their places.
_MAXIMUM: dict[type, type] = {torch.nn.MaxPool2d: MaxPool2d}
# Not those of norms, which are no drop-in.
_ALL: dict[type, type] = {
    own.__base__: own
    for own in (
        MaxPool1d, MaxPool2d, MaxPool3d, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d, AvgPool1d,
        AvgPool2d, AvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d,
        AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d,
    )
}  # fmt: skip


def replace_pooling(model: Model) -> Model:
    """Let fastpool compute the pooling modules of a model, in place.

    Parameters
    ----------
    model : torch.nn.Module
        All `torch.nn.MaxPool2d`, `MaxUnpool2d`, `AvgPool2d`, `AdaptiveMaxPool2d` and
        `AdaptiveAvgPool2d` in it, or itself, and their like for one and three axes become
        fastpool's of the same name. They stay the same objects, with their arguments, hooks and
        names; state dicts do not change. Subclasses are left alone, and so is `LPPool2d`, whose
        results would be others: see `lp_pool2d`.

    Returns
    -------
    torch.nn.Module
        `model` itself.

    See Also
    --------
    restore_pooling : The way back.

    Examples
    --------
    >>> import torch
    >>> from fastpool.interop.torch import replace_pooling
    >>> replace_pooling(torch.nn.Sequential(torch.nn.MaxPool2d(2), torch.nn.AvgPool2d(2)))
    Sequential(
      (0): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
      (1): AvgPool2d(kernel_size=2, stride=2, padding=0)
    )
    """
    return _change_classes(model, _ALL)


def restore_pooling(model: Model) -> Model:
    """Undo `replace_pooling`: every pooling module of a model becomes PyTorch's again.

    As `torch.jit.script` needs, which takes PyTorch's own pooling alone.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which is changed in place.

    Returns
    -------
    torch.nn.Module
        `model` itself.
    """
    return _change_classes(model, {own: theirs for theirs, own in _ALL.items()})


def replace_max_pool2d(model: Model) -> Model:
    """Let fastpool compute every `torch.nn.MaxPool2d` of a model, in place.

    Parameters
    ----------
    model : torch.nn.Module
        As in `replace_pooling`, but for averages, which stay PyTorch's.

    Returns
    -------
    torch.nn.Module
        `model` itself.

    See Also
    --------
    replace_pooling : All that fastpool has.
    restore_max_pool2d : The way back.

    Examples
    --------
    >>> import torch
    >>> from fastpool.interop.torch import replace_max_pool2d
    >>> replace_max_pool2d(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.MaxPool2d(2)))[1]
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    """
    return _change_classes(model, _MAXIMUM)


def restore_max_pool2d(model: Model) -> Model:
    """Undo `replace_max_pool2d`: every `MaxPool2d` of a model becomes a `torch.nn.MaxPool2d`.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which is changed in place.

    Returns
    -------
    torch.nn.Module
        `model` itself.

    See Also
    --------
    restore_pooling : The same for all modules.
    """
    return _change_classes(model, {own: theirs for theirs, own in _MAXIMUM.items()})


def _change_classes(model: Model, changes: dict[type, type]) -> Model:
    for module in model.modules():
        if type(module) in changes:
            module.__class__ = changes[type(module)]
    return model
