"""Pooling where arrays are another library's: one package a guest, none imported unasked."""

from __future__ import annotations

import importlib
from typing import Any

ADAPTERS = ("dask", "jax", "jitted", "torch", "xarray")


def __getattr__(name: str) -> Any:
    """An adapter, imported when it is first named.

    `torch.compile` follows the attribute of a module, and no call of `importlib`.
    """
    if name in ADAPTERS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
