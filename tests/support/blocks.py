"""What `downsample` computes, block by block and cell by cell in Python."""

import itertools
import math

import numpy as np
from support.oracle import rounded_quotient, summed, sums_in


def is_nan(value):
    return bool(value != value)


def key(value):
    """Numbers in their order, a NaN behind all; equal ones have equal keys."""
    return (1, 0) if is_nan(value) else (0, value)


def wrapped(number, dtype):
    bits = 8 * dtype.itemsize
    number %= 2**bits
    return number - 2**bits * (dtype.kind == "i" and number >= 2 ** (bits - 1))


def result_dtype(x, method, dtype):
    if dtype is not None:
        return np.dtype(dtype)
    if method in ("any", "all"):
        return np.dtype(bool)
    if method == "sum" and x.dtype.kind in "iub":
        return np.dtype("uint64" if x.dtype.kind == "u" else "int64")
    return x.dtype


def reduced(cells, lengths, most, method, source, result):
    """The value of the valid cells of a block, given by their places; there are some.

    `lengths` are those of the block, and `most` is how many cells one has that is not cut.
    """
    values = [cells[place] for place in sorted(cells)]
    if method in ("any", "all"):
        return {"any": any, "all": all}[method](bool(value) for value in values)
    if method in ("min", "max"):
        for value in values:
            if is_nan(value):
                return value
        best = {"min": min, "max": max}[method](values)
        return next(value for value in values if value == best)
    if method == "median":
        middle = sorted(values, key=key)[(len(values) - 1) // 2]
        if is_nan(max(values, key=key)):
            middle = max(values, key=key)
        return next(value for value in values if key(value) == key(middle))
    if method == "mode":
        counts = {}
        for value in values:
            counts[key(value)] = counts.get(key(value), 0) + 1
        return next(v for v in values if counts[key(v)] == max(counts.values()))
    exact = source.kind in "iub" and (result.kind in "iub" or source.itemsize < 8)
    kind = int if exact else sums_in(source, result)
    numbers = {
        place: kind(cells[place]) if place in cells else kind(0)
        for place in itertools.product(*map(range, lengths))
    }
    total = summed(numbers, lengths, most, kind)
    divisor = len(values) if method == "mean" else 1
    if result.kind == "b":
        return bool(rounded_quotient(total, divisor))
    if result.kind in "iu":
        return wrapped(rounded_quotient(total, divisor), result)
    wide = np.float64 if exact else kind
    with np.errstate(all="ignore"):
        return wide(total) / wide(divisor)


def downsample(
    x, factors, method="mean", *, axes=None, boundary="partial", skipna=False, nodata=None,
    min_count=1, dtype=None, mask=None,
):  # fmt: skip
    """The result, and which blocks have too few cells."""
    x = np.asarray(x)
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    chosen = range(x.ndim) if axes is None else np.atleast_1d(axes)
    given = [factors] * len(chosen) if np.ndim(factors) == 0 else factors
    whole = [1] * x.ndim
    for axis, factor in zip(chosen, given, strict=True):
        whole[axis] = int(factor)
    trim = boundary == "trim"
    shape = [n // f if trim else -(-n // f) for n, f in zip(x.shape, whole, strict=True)]
    if nodata is not None:
        nodata = x.dtype.type(nodata) if x.dtype.kind in "iub" else x.dtype.type(nodata + 0.0)
    hides = method != "stride" and (
        mask is not None or nodata is not None or (skipna and x.dtype.kind not in "iub")
    )
    filled = boundary == "pad" and not hides and x.dtype.kind not in "iub"
    result = result_dtype(x, method, dtype)
    output, few = np.zeros(shape, result), np.zeros(shape, bool)
    least = min_count if method in ("sum", "any", "all") else max(min_count, 1)
    nan = x.dtype.kind not in "iub" and (skipna or (nodata is not None and is_nan(nodata)))
    fill = np.nan if nan and (nodata is None or is_nan(nodata)) else 0 if nodata is None else nodata
    for block in np.ndindex(*shape):
        starts = [o * f for o, f in zip(block, whole, strict=True)]
        ends = [min(s + f, n) for s, f, n in zip(starts, whole, x.shape, strict=True)]
        lengths = [end - start for start, end in zip(starts, ends, strict=True)]
        lengths = lengths or [1]
        most = math.prod(min(f, n) for f, n in zip(whole, x.shape, strict=True))
        cells = {}
        for place in itertools.product(*map(range, lengths)):
            cell = tuple(s + p for s, p in zip(starts, place, strict=False))
            hidden = mask is not None and mask[cell]
            hidden |= nan and is_nan(x[cell])
            hidden |= nodata is not None and bool(x[cell] == nodata)
            if not hidden or method == "stride":
                cells[place] = x[cell]
        if method == "stride":
            output[block] = x[tuple(starts)]
            few[block] = mask is not None and mask[tuple(starts)]
            continue
        if filled and method not in ("any", "all"):
            lacks = math.prod(whole) - math.prod(lengths)
            if lacks and method == "mode":
                for place in itertools.product(*map(range, whole)):
                    cells.setdefault(place, x.dtype.type(np.nan))
            elif lacks:
                output[block] = np.nan
                continue
        if hides and len(cells) < least:
            few[block] = True
            output[block] = False if method in ("any", "all") else fill
        elif not cells:
            output[block] = method == "all"
        else:
            value = reduced(cells, lengths, most, method, x.dtype, result)
            if filled and method == "mode" and lacks and is_nan(value):
                value = np.nan
            with np.errstate(all="ignore"):
                output[block] = value
    masks = method == "stride" or (method not in ("any", "all") and nodata is None and not nan)
    return output, few & masks
