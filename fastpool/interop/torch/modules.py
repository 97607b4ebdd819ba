"""`torch.nn.MaxPool2d` computed by fastpool, and models made of it."""

from __future__ import annotations

from typing import Any, TypeVar, get_type_hints

import torch

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


def replace_max_pool2d(model: Model) -> Model:
    """Let fastpool compute every `torch.nn.MaxPool2d` of a model, in place.

    Parameters
    ----------
    model : torch.nn.Module
        All `torch.nn.MaxPool2d` in it, or itself, become `MaxPool2d`. They stay the same objects,
        with their arguments, hooks and names; state dicts do not change. Subclasses of
        `torch.nn.MaxPool2d` are left alone.

    Returns
    -------
    torch.nn.Module
        `model` itself.

    See Also
    --------
    restore_max_pool2d : The way back.

    Examples
    --------
    >>> import torch
    >>> from fastpool.interop.torch import replace_max_pool2d
    >>> replace_max_pool2d(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.MaxPool2d(2)))[1]
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    """
    return _change_class(model, torch.nn.MaxPool2d, MaxPool2d)


def restore_max_pool2d(model: Model) -> Model:
    """Undo `replace_max_pool2d`: every `MaxPool2d` of a model becomes a `torch.nn.MaxPool2d`.

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
    return _change_class(model, MaxPool2d, torch.nn.MaxPool2d)


def _change_class(model: Model, old: type, new: type) -> Model:
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new
    return model
