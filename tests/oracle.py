"""What fastpool must compute, in plain loops over Python numbers, sharing no code with it."""

import math

import numpy as np


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def axis(size, kernel, stride, padding, dilation, ceil_mode):
    """Starts of all windows along an axis, found by stepping; ValueError if there are none."""
    span = dilation * (kernel - 1) + 1
    if padding == "same":
        total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
        low, high = total // 2, total - total // 2
    else:
        low, high = padding
    padded = low + size + high
    count = 0
    if ceil_mode:
        if padded - span > -stride:
            count = 1
            while (count - 1) * stride + span < padded:
                count += 1
            if (count - 1) * stride >= size + low:
                count -= 1
    else:
        while count * stride + span <= padded:
            count += 1
    if count < 1:
        raise ValueError("no window")
    return [o * stride - low for o in range(count)]


def windows(shape, kernel_size, stride, padding, dilation, ceil_mode, layout):
    """Of both axes, the taps inside the input of every window: lists of (tap, position)."""
    at = len(shape) - (2 if layout == "NCHW" else 3)
    kernel, dilation = pair(kernel_size), pair(dilation)
    stride = kernel if stride is None else pair(stride)
    if padding == "valid":
        padding = 0
    if padding != "same":
        padding = [(p, p) if isinstance(p, int) else p for p in pair(padding)]
    else:
        padding = ["same", "same"]
    result = []
    for i in (0, 1):
        size = shape[at + i]
        taps = []
        for start in axis(size, kernel[i], stride[i], padding[i], dilation[i], ceil_mode):
            inside = [(k, start + k * dilation[i]) for k in range(kernel[i])]
            inside = [(k, p) for k, p in inside if 0 <= p < size]
            if not inside:
                raise ValueError("a window without a cell")
            taps.append(inside)
        result.append(taps)
    return kernel, result[0], result[1]


def planes(array, layout):
    """Views of all planes of an array, two axes each, in C order of the other axes."""
    if layout == "NHWC":
        array = np.moveaxis(array, -1, -3)
    lead = array.shape[:-2]
    return [array[index] for index in np.ndindex(lead)]


def bits(array):
    """The same memory as unsigned integers, which move any byte of a bool and any NaN as it is."""
    return array.view(f"u{array.itemsize}")


def output_shape(shape, rows, columns, layout):
    if layout == "NCHW":
        return (*shape[:-2], len(rows), len(columns))
    return (*shape[:-3], len(rows), len(columns), shape[-1])


def maxpool2d(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, layout="NCHW",
    index_format="flat",
):  # fmt: skip
    """Output and indices."""
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    kernel, rows, columns = windows(
        x.shape, kernel_size, stride, padding, dilation, ceil_mode, layout
    )
    shape = output_shape(x.shape, rows, columns, layout)
    output = np.empty(shape, x.dtype)
    if index_format == "flat":
        index_dtype = np.int64
    else:
        taps = kernel[0] * kernel[1]
        index_dtype = np.uint8 if taps <= 2**8 else np.uint16 if taps <= 2**16 else np.uint32
    indices = np.empty(shape, index_dtype)
    # Every byte of a bool but 0 is True, whatever NumPy makes of it.
    number = {"i": int, "u": int, "b": bool}.get(x.dtype.kind, float)
    compared = bits(x) if x.dtype.kind == "b" else x
    for plane, moved, out, index in zip(
        *(planes(a, layout) for a in (compared, bits(x), bits(output), indices)), strict=True
    ):
        width = plane.shape[1]
        numbers = [[number(v) for v in row] for row in plane]
        for oh, row_taps in enumerate(rows):
            for ow, column_taps in enumerate(columns):
                best = None
                for kh, h in row_taps:
                    for kw, w in column_taps:
                        value = numbers[h][w]
                        if best is None or (best == best and (value != value or value > best)):
                            best, cell = value, (h, w)
                            code = h * width + w if index_format == "flat" else kh * kernel[1] + kw
                out[oh, ow] = moved[cell]
                index[oh, ow] = code
    return output, indices


def cell_of(code, row_taps, column_taps, kernel, sizes, index_format, tied):
    """The cell that an index names, or None."""
    code = int(code)
    if index_format == "window":
        if not 0 <= code < kernel[0] * kernel[1]:
            return None
        h, w = dict(row_taps).get(code // kernel[1]), dict(column_taps).get(code % kernel[1])
        return None if h is None or w is None else (h, w)
    if not 0 <= code < sizes[0] * sizes[1]:
        return None
    h, w = divmod(code, sizes[1])
    if tied and not (any(h == p for _, p in row_taps) and any(w == p for _, p in column_taps)):
        return None
    return h, w


def scatter(
    values, indices, shape, add, kernel_size, stride=None, padding=0, dilation=1,
    ceil_mode=False, layout="NCHW", index_format="flat",
):  # fmt: skip
    """The gradient (`add`) or the unpooled array, or the positions of all bad indices."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    kernel, rows, columns = windows(
        shape, kernel_size, stride, padding, dilation, ceil_mode, layout
    )
    half = values.dtype.itemsize == 2 and values.dtype.kind not in "iu"
    wide = np.float32 if half and add else values.dtype
    result = np.zeros(shape, wide)
    moved = (values, result) if add else (bits(values), bits(result))
    positions = np.arange(indices.size).reshape(indices.shape)
    bad = []
    with np.errstate(all="ignore"):
        for value, out, index, position in zip(
            *(planes(a, layout) for a in (*moved, indices, positions)), strict=True
        ):
            for oh, row_taps in enumerate(rows):
                for ow, column_taps in enumerate(columns):
                    cell = cell_of(
                        index[oh, ow], row_taps, column_taps, kernel, out.shape, index_format, add
                    )
                    if cell is None:
                        bad.append(int(position[oh, ow]))
                    elif add:
                        out[cell] = out[cell] + value[oh, ow].astype(wide)
                    else:
                        out[cell] = value[oh, ow]
        return min(bad) if bad else result.astype(values.dtype, copy=False)
