"""What users may pass, as types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, SupportsIndex, TypeAlias, TypeVar

from ..rules.arguments import IndexFormat as IndexFormat

Entries: TypeAlias = SupportsIndex | Sequence[SupportsIndex]  # one for all axes, or one an axis
Padding: TypeAlias = Entries | Sequence[Sequence[SupportsIndex]] | Literal["valid", "same"]
Layout: TypeAlias = Literal["NCW", "NWC", "NCHW", "NHWC", "NCDHW", "NDHWC"]
AnyArray: TypeAlias = Any  # an array_like, or an array of another library
BackendName: TypeAlias = Literal["auto", "numpy", "numba"]


class _Tensor(Protocol):
    """A tensor of PyTorch."""

    @property
    def requires_grad(self) -> bool: ...


class _JaxArray(Protocol):
    """An array of JAX."""

    @property
    def is_fully_addressable(self) -> bool: ...


class _Lazy(Protocol):
    """An array of Dask, or a DataArray."""

    def __dask_graph__(self) -> Any: ...


# Of these each gets its own kind back. They are told by what they have: none is imported.
GuestArray = TypeVar("GuestArray", bound=_Tensor | _JaxArray | _Lazy)
