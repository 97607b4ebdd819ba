"""Arrays that are hard to pool: by their values, and by how they lie in memory."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from ..rules.arrays import DTYPES, infinity_bits, is_half

STYLES = ("random", "ties", "zeros", "nans", "infinities", "lowest", "bits")
MEMORIES = (
    "contiguous", "fortran", "reversed", "strided", "cropped", "swapped", "unaligned",
    "read-only", "broadcast", "record",
)  # fmt: skip


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype of that name; ImportError for bfloat16 without ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


def usable_dtypes() -> dict[str, np.dtype[Any]]:
    """All dtypes that pooling takes, by name; bfloat16 where ml_dtypes is installed."""
    dtypes = {}
    for name in DTYPES:
        with suppress(ImportError):
            dtypes[name] = dtype_of(name)
    return dtypes


def adversarial(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], style: str
) -> np.ndarray:
    """Values on which pooling went wrong elsewhere: ties, signed zeros, NaN payloads, extremes."""
    floating = dtype.kind == "f" or is_half(dtype)
    if dtype.kind == "b" and style != "bits":
        return rng.random(shape) < (0.1 if style == "lowest" else 0.5)
    if dtype.kind == "b":  # True is any byte but 0
        return (rng.integers(0, 256, shape, np.uint8) * (rng.random(shape) < 0.5)).view(bool)
    if style == "bits" or (style == "random" and not floating):
        raw = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8)
        return raw.view(dtype)[..., 0]
    if style == "random":
        return rng.standard_normal(shape).astype(dtype)
    if not floating:
        limits = np.iinfo(dtype)
        extremes = (limits.min, limits.max, limits.max - 1, limits.min + 1, 0, 1)
        few = {"ties": (0, 1, 2), "lowest": (limits.min,)}.get(style, extremes)
        return np.array(few, dtype)[rng.integers(0, len(few), shape)]
    inf = np.inf
    choices = {
        "ties": (1.0, 2.0, 2.0, -1.0),
        "zeros": (0.0, -0.0, -1.0),
        "nans": (np.nan, 1.0, 2.0, inf),
        "infinities": (-inf, -inf, inf, 1.0),
        "lowest": (-inf,),
    }[style]
    values = np.array(choices, dtype)[rng.integers(0, len(choices), shape)]
    if style == "nans":
        # Payloads of both signs, quiet and signalling, all different.
        bits = values.view(f"u{dtype.itemsize}")
        infinity = bits.dtype.type(infinity_bits(dtype))
        payload = rng.integers(1, 100, shape).astype(bits.dtype)
        sign = rng.integers(0, 2, shape).astype(bits.dtype) << (8 * dtype.itemsize - 1)
        values = np.where(values == values, bits, infinity | payload | sign).view(dtype)
    return values


def in_memory(rng: np.random.Generator, array: np.ndarray, memory: str) -> np.ndarray:
    """An array of the same values that lies in memory as `memory` says.

    "broadcast" alone changes values: along some of the leading axes, chosen at random, it repeats
    what stands at the first index.
    """
    shape, dtype = array.shape, array.dtype
    if memory == "fortran":
        return np.asfortranarray(array)
    if memory == "reversed":
        flip = tuple(slice(None, None, -1) for _ in shape)
        return np.ascontiguousarray(array[flip])[flip]
    if memory in ("strided", "cropped"):
        step, skip = (2, 0) if memory == "strided" else (1, 1)
        whole = adversarial(rng, tuple(step * n + 2 * skip for n in shape), dtype, "bits")
        view = whole[tuple(slice(skip, skip + step * n, step) for n in shape)]
        view[...] = array
        return view
    if memory == "swapped":
        swapped: np.ndarray = array.astype(dtype.newbyteorder("S"))
        return swapped
    if memory == "unaligned":
        view = np.empty(array.nbytes + 1, np.uint8)[1:].view(dtype).reshape(shape)
        view[...] = array
        return view
    if memory == "record":
        records = np.empty(shape, [("before", np.uint8), ("value", dtype), ("after", np.uint16)])
        records["value"] = array
        return records["value"]
    if memory == "broadcast" and len(shape) > 2 and 0 not in shape:
        kept = [1 if rng.random() < 0.5 else n for n in shape[:-2]]
        return np.broadcast_to(array[tuple(map(slice, kept))], shape)
    if memory == "read-only":
        array = array.copy()
        array.flags.writeable = False
    return array
