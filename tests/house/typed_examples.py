"""What type checkers must say of calls. mypy and pyright read this file, and nothing runs it."""

from __future__ import annotations

import numpy as np
from typing_extensions import assert_type

import fastpool
from fastpool import PoolResult


def arrays(x: np.ndarray, flag: bool) -> None:
    assert_type(fastpool.maxpool2d(x, 2), np.ndarray)
    assert_type(fastpool.maxpool2d(x, 2, return_indices=False), np.ndarray)
    assert_type(fastpool.maxpool1d(x, (2,), padding="same"), np.ndarray)
    assert_type(fastpool.minpool3d(x, (2, 2, 2), padding=((0, 1), (0, 0), (1, 0))), np.ndarray)
    found = fastpool.maxpool2d(x, 2, return_indices=True, index_format="window")
    assert_type(found, PoolResult)
    assert_type(found.indices, np.ndarray)
    output, indices = found
    assert_type(output, np.ndarray)
    assert_type(fastpool.maxpool2d(x, 2, return_indices=flag), np.ndarray | PoolResult)
    assert_type(fastpool.adaptive_maxpool2d(x, (1, 1)), np.ndarray)
    assert_type(fastpool.adaptive_maxpool2d(x, (1, 1), return_indices=True), PoolResult)
    assert_type(fastpool.maxpool2d_backward(output, indices, x.shape, 2), np.ndarray)
    assert_type(fastpool.maxunpool2d(output, indices, 2), np.ndarray)
    assert_type(fastpool.avgpool2d(x, 2, dtype="uint8"), np.ndarray)
    assert_type(fastpool.sumpool2d(x, 2), np.ndarray)
    assert_type(fastpool.lppool2d(x, 2, 3), np.ndarray)
    assert_type(fastpool.modepool2d(x, 2), np.ndarray)
    assert_type(fastpool.adaptive_avgpool2d(x, 1), np.ndarray)


def mistakes(x: np.ndarray) -> None:
    """Each is refused; an ignored error that is none is an error itself."""
    fastpool.maxpool2d(x)  # type: ignore[call-overload]
    fastpool.maxpool2d(x, 2.5)  # type: ignore[call-overload]
    fastpool.maxpool2d(x, 2, layout="HWCN")  # type: ignore[call-overload]
    fastpool.maxpool2d(x, 2, backend="cuda")  # type: ignore[call-overload]
    fastpool.avgpool2d(x, 2, return_indices=True)  # type: ignore[call-overload]
    fastpool.downsample(x, 2, method="middle")  # type: ignore[arg-type]
