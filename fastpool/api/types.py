"""What users may pass, as types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, SupportsIndex, TypeAlias

from ..rules.arguments import IndexFormat as IndexFormat

Entries: TypeAlias = SupportsIndex | Sequence[SupportsIndex]  # one for all axes, or one an axis
Padding: TypeAlias = Entries | Sequence[Sequence[SupportsIndex]] | Literal["valid", "same"]
Layout: TypeAlias = Literal["NCW", "NWC", "NCHW", "NHWC", "NCDHW", "NDHWC"]
BackendName: TypeAlias = Literal["auto", "numpy", "numba"]
