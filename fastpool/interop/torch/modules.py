"""PyTorch's pooling modules computed by fastpool, and models made of them."""

from __future__ import annotations

from typing import Any, TypeVar, get_type_hints

import torch

from . import averages
from .averages import avg_pool1d, avg_pool2d, avg_pool3d
from .functional import max_pool2d, refuse_script

Model = TypeVar("Model", bound=torch.nn.Module)


class MaxPool2d(torch.nn.MaxPool2d):
    """`torch.nn.MaxPool2d`, computed by fastpool: see `max_pool2d`."""

    __prepare_scriptable__ = refuse_script

    def forward(self, input: torch.Tensor) -> Any:  # noqa: A002 (PyTorch's name)
        return max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    # Strings, as annotations are in this file, make graphs of torch.fx that cannot be pickled.
    forward.__annotations__ = get_type_hints(forward)


class AvgPool1d(torch.nn.AvgPool1d):
    """`torch.nn.AvgPool1d`, computed by fastpool: see `avg_pool1d`."""

    __prepare_scriptable__ = averages.refuse_script[1]

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        rules = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return avg_pool1d(input, *rules, self.count_include_pad)

    forward.__annotations__ = get_type_hints(forward)


class AvgPool2d(torch.nn.AvgPool2d):
    """`torch.nn.AvgPool2d`, computed by fastpool: see `avg_pool2d`."""

    __prepare_scriptable__ = averages.refuse_script[2]

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        rules = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return avg_pool2d(input, *rules, self.count_include_pad, self.divisor_override)

    forward.__annotations__ = get_type_hints(forward)


class AvgPool3d(torch.nn.AvgPool3d):
    """`torch.nn.AvgPool3d`, computed by fastpool: see `avg_pool3d`."""

    __prepare_scriptable__ = averages.refuse_script[3]

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        rules = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return avg_pool3d(input, *rules, self.count_include_pad, self.divisor_override)

    forward.__annotations__ = get_type_hints(forward)


# PyTorch's modules, and fastpool's in their places.
_MAXIMUM: dict[type, type] = {torch.nn.MaxPool2d: MaxPool2d}
_ALL = _MAXIMUM | {
    torch.nn.AvgPool1d: AvgPool1d,
    torch.nn.AvgPool2d: AvgPool2d,
    torch.nn.AvgPool3d: AvgPool3d,
}


def replace_pooling(model: Model) -> Model:
    """Let fastpool compute the pooling modules of a model, in place.

    Parameters
    ----------
    model : torch.nn.Module
        All `torch.nn.MaxPool2d`, `torch.nn.AvgPool1d`, `torch.nn.AvgPool2d` and
        `torch.nn.AvgPool3d` in it, or itself, become fastpool's of the same name. They stay the
        same objects, with their arguments, hooks and names; state dicts do not change. Subclasses
        are left alone.

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
