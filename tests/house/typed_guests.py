"""What type checkers must say of calls with arrays of other libraries, where these are installed.

pyright reads this file, and nothing runs it; for mypy, as configured, types of guests are any.
"""

# pyright: reportMissingImports=true

from __future__ import annotations

from typing import Any

import dask.array as da
import jax
import torch
import xarray
from typing_extensions import assert_type

import fastpool
from fastpool import PoolResult


def tensors(x: torch.Tensor, flag: bool) -> None:
    """By the front door, and by the adapter."""
    from fastpool.interop.torch import adaptive_max_pool2d, avg_pool2d, lp_pool2d, max_pool2d

    assert_type(fastpool.maxpool2d(x, 2), torch.Tensor)
    assert_type(fastpool.maxpool2d(x, 2, return_indices=True), PoolResult[torch.Tensor])
    assert_type(fastpool.adaptive_maxpool2d(x, 1), torch.Tensor)
    assert_type(fastpool.adaptive_maxpool2d(x, 1, True), PoolResult[torch.Tensor])
    assert_type(fastpool.maxpool2d_backward(x, x, x.shape, 2), torch.Tensor)
    assert_type(fastpool.avgpool2d(x, 2), torch.Tensor)
    assert_type(fastpool.lppool2d(x, 2, 3), torch.Tensor)
    assert_type(max_pool2d(x, 2), torch.Tensor)
    assert_type(max_pool2d(x, 2, return_indices=True), tuple[torch.Tensor, torch.Tensor])
    assert_type(adaptive_max_pool2d(x, 1), torch.Tensor)
    assert_type(adaptive_max_pool2d(x, (1, None), True), tuple[torch.Tensor, torch.Tensor])
    assert_type(avg_pool2d(x, 2), torch.Tensor)
    assert_type(lp_pool2d(x, 2.0, 3), torch.Tensor)


def jax_arrays(x: jax.Array) -> None:
    from fastpool.interop.jax import adaptive_max_pool2d, avg_pool2d, max_pool2d

    assert_type(fastpool.maxpool2d(x, 2), jax.Array)
    assert_type(fastpool.minpool2d(x, 2, return_indices=True), PoolResult[jax.Array])
    assert_type(fastpool.sumpool2d(x, 2), jax.Array)
    assert_type(max_pool2d(x, 2), jax.Array)
    assert_type(avg_pool2d(x, 2), jax.Array)
    assert_type(adaptive_max_pool2d(x, 1), jax.Array)


def dask_arrays(x: da.Array) -> None:
    from fastpool.interop import dask as pooling

    assert_type(fastpool.maxpool2d(x, 2), da.Array)
    assert_type(fastpool.avgpool2d(x, 2, dtype="uint8"), da.Array)
    assert_type(pooling.maxpool2d(x, 2), Any)  # or two, with indices
    assert_type(pooling.avgpool2d(x, 2), da.Array)
    assert_type(pooling.sumpool2d(x, 2), da.Array)


def labelled_arrays(x: xarray.DataArray) -> None:
    assert_type(fastpool.maxpool2d(x, 2), xarray.DataArray)
    assert_type(fastpool.avgpool2d(x, 2), xarray.DataArray)
