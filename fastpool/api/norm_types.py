"""The signatures of the functions of norms."""

from __future__ import annotations

from typing import Protocol, overload

import numpy as np
from numpy.typing import ArrayLike

from .types import BackendName, Entries, GuestArray, Layout, Padding


class Norm(Protocol):
    """A forward pass."""

    @overload
    def __call__(
        self,
        x: GuestArray,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...


class NormBackward(Protocol):
    """The gradient of such a forward pass."""

    @overload
    def __call__(
        self,
        grad_output: GuestArray,
        x: GuestArray | ArrayLike,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        grad_output: ArrayLike,
        x: ArrayLike,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...
