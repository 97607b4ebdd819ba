"""What fastpool must compute, in plain loops over Python numbers, sharing no code with it."""

import fractions
import itertools
import math
import operator
from functools import partial

import numpy as np


def entries(value, count):
    return (value,) * count if isinstance(value, int) else tuple(value)


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
    """The kernel, and of each axis the taps inside the input of every window: (tap, position)."""
    count = len(layout) - 2
    at = len(shape) - count - layout.endswith("C")
    kernel, dilation = entries(kernel_size, count), entries(dilation, count)
    stride = kernel if stride is None else entries(stride, count)
    if padding == "same":
        padding = ["same"] * count
    else:
        padding = entries(0 if padding == "valid" else padding, count)
        padding = [(p, p) if isinstance(p, int) else p for p in padding]
    result = []
    for i in range(count):
        size = shape[at + i]
        taps = []
        for start in axis(size, kernel[i], stride[i], padding[i], dilation[i], ceil_mode):
            inside = [(k, start + k * dilation[i]) for k in range(kernel[i])]
            inside = [(k, p) for k, p in inside if 0 <= p < size]
            if not inside:
                raise ValueError("a window without a cell")
            taps.append(inside)
        result.append(taps)
    return kernel, *result


def planes(array, layout):
    """Views of all planes of an array, its spatial axes, in C order of the other axes."""
    count = len(layout) - 2
    if layout.endswith("C"):
        array = np.moveaxis(array, -1, -1 - count)
    return [array[index] for index in np.ndindex(array.shape[:-count])]


def output_shape(shape, axes, layout):
    last = shape[-1:] if layout.endswith("C") else ()
    lead = shape[: len(shape) - len(axes) - len(last)]
    return (*lead, *map(len, axes), *last)


def position(places, lengths):
    """The number of a place in row-major order."""
    number = 0
    for place, length in zip(places, lengths, strict=True):
        number = number * length + place
    return number


def extremes(
    beats, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, layout="NCHW",
    index_format="flat",
):  # fmt: skip
    """Output and indices of the first cell that no other beats, for the layout's axes."""
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    kernel, *axes = windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode, layout)
    shape = output_shape(x.shape, axes, layout)
    output = np.empty(shape, x.dtype)
    if index_format == "flat":
        index_dtype = np.int64
    else:
        taps = math.prod(kernel)
        index_dtype = np.uint8 if taps <= 2**8 else np.uint16 if taps <= 2**16 else np.uint32
    indices = np.empty(shape, index_dtype)
    number = {"b": bool, "i": int, "u": int}.get(x.dtype.kind, float)
    bits = f"u{x.itemsize}"  # a copy through a scalar may quiet a NaN, and makes 1 of True
    for plane, out, index in zip(
        planes(x, layout), planes(output, layout), planes(indices, layout), strict=True
    ):
        source, target = plane.view(bits), out.view(bits)
        numbers = {cell: number(plane[cell]) for cell in np.ndindex(plane.shape)}
        for place in np.ndindex(out.shape):
            best = None
            for taps in itertools.product(*(axes[i][o] for i, o in enumerate(place))):
                cell = tuple(p for _, p in taps)
                value = numbers[cell]
                if best is None or (best == best and (value != value or beats(value, best))):
                    best, picked = value, cell
                    code = position([k for k, _ in taps], kernel)
            target[place] = source[picked]
            index[place] = position(picked, plane.shape) if index_format == "flat" else code
    return output, indices


maxpool = partial(extremes, operator.gt)
minpool = partial(extremes, operator.lt)


def modepool(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, layout="NCHW",
    index_format="flat",
):  # fmt: skip
    """Output and indices: of the most frequent values the one that comes first."""
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    kernel, *axes = windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode, layout)
    shape = output_shape(x.shape, axes, layout)
    taps = math.prod(kernel)
    narrow = np.uint8 if taps <= 2**8 else np.uint16 if taps <= 2**16 else np.uint32
    output = np.empty(shape, x.dtype)
    indices = np.empty(shape, np.int64 if index_format == "flat" else narrow)
    number = bool if x.dtype.kind == "b" else int
    for plane, out, index in zip(
        planes(x, layout), planes(output, layout), planes(indices, layout), strict=True
    ):
        for place in np.ndindex(out.shape):
            found = [
                (tuple(k for k, _ in taps), tuple(p for _, p in taps))
                for taps in itertools.product(*(axes[i][o] for i, o in enumerate(place)))
            ]
            values = [number(plane[cell]) for _, cell in found]
            best = max(values.count(value) for value in values)
            first = next(i for i, value in enumerate(values) if values.count(value) == best)
            taps, cell = found[first]
            out.view(f"u{x.itemsize}")[place] = plane.view(f"u{x.itemsize}")[cell]
            flat = position(cell, plane.shape)
            index[place] = flat if index_format == "flat" else position(taps, kernel)
    return output, indices


def cell_of(code, taps, kernel, sizes, index_format, tied):
    """The cell that an index names, or None; `taps` are those of its window along each axis."""
    code = int(code)
    lengths = kernel if index_format == "window" else sizes
    if not 0 <= code < math.prod(lengths):
        return None
    places = []
    for length in reversed(lengths):
        code, place = divmod(code, length)
        places.insert(0, place)
    if index_format == "window":
        cell = tuple(dict(along).get(place) for along, place in zip(taps, places, strict=True))
        return None if None in cell else cell
    own = all(any(place == p for _, p in along) for along, place in zip(taps, places, strict=True))
    return tuple(places) if own or not tied else None


def scatter(
    values, indices, shape, add, kernel_size, stride=None, padding=0, dilation=1,
    ceil_mode=False, layout="NCHW", index_format="flat",
):  # fmt: skip
    """The gradient (`add`) or the unpooled array, or the position of the first bad index."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    kernel, *axes = windows(shape, kernel_size, stride, padding, dilation, ceil_mode, layout)
    half = values.dtype.itemsize == 2 and values.dtype.kind not in "iu"
    wide = np.float32 if half and add else values.dtype
    result = np.zeros(shape, wide)
    bits = f"u{values.itemsize}"
    positions = np.arange(indices.size).reshape(indices.shape)
    bad = []
    with np.errstate(all="ignore"):
        for value, index, number, out in zip(
            *(planes(a, layout) for a in (values, indices, positions, result)), strict=True
        ):
            for place in np.ndindex(value.shape):
                taps = [axes[i][o] for i, o in enumerate(place)]
                cell = cell_of(index[place], taps, kernel, out.shape, index_format, add)
                if cell is None:
                    bad.append(int(number[place]))
                elif add:
                    out[cell] = out[cell] + value[place].astype(wide)
                else:
                    out.view(bits)[cell] = value.view(bits)[place]
        return min(bad) if bad else result.astype(values.dtype, copy=False)


def in_tree(numbers):
    """Their sum as a tree: the first m of n, m the largest power of two below n, and the others."""
    if len(numbers) == 1:
        return numbers[0]
    m = 1
    while 2 * m < len(numbers):
        m *= 2
    return in_tree(numbers[:m]) + in_tree(numbers[m:])


def along_axes(numbers, lengths):
    """Trees along the first axis, then the next, of numbers that are given by their place."""
    count, *rest = lengths
    if not rest:
        return in_tree([numbers[(i,)] for i in range(count)])
    reduced = {
        place: in_tree([numbers[(i, *place)] for i in range(count)])
        for place in itertools.product(*map(range, rest))
    }
    return along_axes(reduced, rest)


def summed(numbers, lengths, most, kind):
    """The sum of numbers by their place, one after the other where there are up to 64 at most."""
    zero = kind(0)
    with np.errstate(all="ignore"):
        if most > 64:
            return along_axes(numbers, lengths) + zero
        total = zero
        for place in itertools.product(*map(range, lengths)):
            total = total + numbers[place]
        return total


def sums_in(dtype, result):
    """The type that floats are summed in."""
    wide = np.float64 in (dtype, result) or dtype.kind in "iub"
    return np.float64 if wide else np.float32


def counted(starts, taps, size, high, dilation, include_pad):
    """How many taps of each window along an axis count."""
    return [
        sum(
            (include_pad and start + k * dilation < size + high) or 0 <= start + k * dilation < size
            for k in range(taps)
        )
        for start in starts
    ]


def spatial(shape, kernel_size, stride, padding, dilation, ceil_mode, layout):
    """Kernel and dilation, and of each axis its size, the starts of its windows and its padding."""
    count = len(layout) - 2
    at = len(shape) - count - layout.endswith("C")
    kernel, dilation = entries(kernel_size, count), entries(dilation, count)
    stride = kernel if stride is None else entries(stride, count)
    found = []
    for i in range(count):
        size = shape[at + i]
        if padding == "same":
            span = dilation[i] * (kernel[i] - 1) + 1
            total = max((math.ceil(size / stride[i]) - 1) * stride[i] + span - size, 0)
            pads = total // 2, total - total // 2
        else:
            pads = entries(0 if padding == "valid" else padding, count)[i]
            pads = (pads, pads) if isinstance(pads, int) else pads
        starts = axis(size, kernel[i], stride[i], pads, dilation[i], ceil_mode)
        if 0 in counted(starts, kernel[i], size, 0, dilation[i], False):
            raise ValueError("a window without a cell")
        found.append((size, starts, pads[1]))
    return kernel, stride, dilation, found


def power(number, exponent):
    found = number
    for digit in bin(exponent)[3:]:
        found = found * found * (number if digit == "1" else 1)
    return found if exponent else np.float64(1)


def lppool(x, p, kernel_size, layout="NCHW", **windows_):
    """Norms of positive integers, of values that no sum of integers may hold exactly."""
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        powers = np.array([power(abs(n), p) for n in wide.reshape(-1)], np.float64)
        sums = avgpool(powers.reshape(x.shape), kernel_size, layout=layout, sums=True, **windows_)
        roots = {1: lambda s: s, 2: np.sqrt, 3: np.cbrt}.get(p, lambda s: np.power(s, 1 / p))
        return roots(sums).astype(np.float64 if x.dtype.kind in "iub" else x.dtype)


def shares(size, count):
    """The cells of each of so many windows that share an axis."""
    return [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def adaptive(x, output_size, layout, pool):
    """What `pool` makes of each window by itself: a plane becomes a number."""
    count = len(layout) - 2
    at = x.ndim - count - layout.endswith("C")
    sizes = x.shape[at : at + count]
    sizes_of = [size if n is None else n for n, size in zip(output_size, sizes, strict=True)]
    axes = [shares(size, n) for size, n in zip(sizes, sizes_of, strict=True)]
    shape = output_shape(x.shape, axes, layout)
    results = None
    for number, plane in enumerate(planes(x, layout)):
        for place in np.ndindex(*sizes_of):
            cells = [along[o] for along, o in zip(axes, place, strict=True)]
            window = plane[tuple(slice(each.start, each.stop) for each in cells)]
            found = pool(window, [each.start for each in cells], plane.shape)
            if results is None:
                results = [np.empty(shape, np.asarray(part).dtype) for part in found]
            for result, part in zip(results, found, strict=True):
                planes(result, layout)[number][place] = part
    return results


def adaptive_maxpool(x, output_size, layout):
    """Output and flat indices."""
    plain = {1: "NCW", 2: "NCHW", 3: "NCDHW"}[len(layout) - 2]

    def pick(window, starts, shape):
        output, indices = maxpool(window, window.shape, layout=plain)
        places = np.unravel_index(int(indices.item()), window.shape)
        cell = [start + place for start, place in zip(starts, places, strict=True)]
        return output.reshape(()), np.int64(position(cell, shape))

    return adaptive(x, output_size, layout, pick)


def adaptive_avgpool(x, output_size, layout, dtype=None):
    plain = {1: "NCW", 2: "NCHW", 3: "NCDHW"}[len(layout) - 2]

    def average(window, starts, shape):
        return (avgpool(window, window.shape, layout=plain, dtype=dtype).reshape(()),)

    return adaptive(x, output_size, layout, average)[0]


def adaptive_avgpool_backward(gradient, shape, output_size, layout):
    """What windows pass on to their cells, one after the other."""
    count = len(layout) - 2
    at = len(shape) - count - layout.endswith("C")
    sizes = [shape[at + i] if n is None else n for i, n in enumerate(output_size)]
    axes = [shares(shape[at + i], n) for i, n in enumerate(sizes)]
    kind = sums_in(gradient.dtype, gradient.dtype)
    result = np.zeros(shape, kind)
    with np.errstate(all="ignore"):
        for windows_, cells in zip(planes(gradient, layout), planes(result, layout), strict=True):
            for place in np.ndindex(windows_.shape):
                taps = [along[o] for along, o in zip(axes, place, strict=True)]
                passed = kind(windows_[place]) / kind(math.prod(len(each) for each in taps))
                for cell in itertools.product(*taps):
                    cells[cell] += passed
        return result.astype(gradient.dtype)


def rounded_quotient(total, divisor):
    """An exact quotient, to the nearest integer, of two to the even one."""
    return round(fractions.Fraction(total, divisor))


def avgpool(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None, dilation=1, layout="NCHW", dtype=None, sums=False,
):  # fmt: skip
    """Averages, or sums, for as many axes as the layout has."""
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    kernel, _, dilation, axes = spatial(
        x.shape, kernel_size, stride, padding, dilation, ceil_mode, layout
    )
    result = np.dtype(dtype) if dtype is not None else x.dtype
    if dtype is None and x.dtype.kind in "iub":
        kind = "uint64" if x.dtype.kind == "u" else "int64"
        result = np.dtype(kind if sums else "float64")
    counts = [
        counted(starts, kernel[i], size, high, dilation[i], count_include_pad)
        for i, (size, starts, high) in enumerate(axes)
    ]
    output = np.empty(output_shape(x.shape, [starts for _, starts, _ in axes], layout), result)
    exact = x.dtype.kind in "iub" and (result.kind in "iu" or x.dtype.itemsize < 8)
    kind = int if exact else sums_in(x.dtype, result)
    bits = 8 * result.itemsize
    for plane, out in zip(planes(x, layout), planes(output, layout), strict=True):
        for place in np.ndindex(out.shape):
            numbers, divisor = {}, 1
            for taps in itertools.product(*map(range, kernel)):
                cell = tuple(axes[i][1][o] + taps[i] * dilation[i] for i, o in enumerate(place))
                inside = all(0 <= p < axes[i][0] for i, p in enumerate(cell))
                value = plane[cell] if inside else 0
                numbers[taps] = kind(bool(value) if x.dtype.kind == "b" else value)
            for i, o in enumerate(place):
                divisor *= counts[i][o]
            divisor = 1 if sums else divisor_override or divisor
            total = summed(numbers, kernel, math.prod(kernel), kind)
            if result.kind in "iu":
                number = rounded_quotient(total, divisor) % 2**bits
                out[place] = number - 2**bits * (result.kind == "i" and number >= 2 ** (bits - 1))
            else:
                with np.errstate(all="ignore"):
                    wide = np.float64 if exact else kind
                    out[place] = wide(total) / wide(divisor)
    return output


def avgpool_backward(
    gradient, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None, dilation=1, layout="NCHW",
):  # fmt: skip
    """What windows pass on to their cells, each cell asking all windows."""
    gradient = gradient.astype(gradient.dtype.newbyteorder("="), copy=False)
    kernel, stride, dilation, axes = spatial(
        shape, kernel_size, stride, padding, dilation, ceil_mode, layout
    )
    counts = [
        counted(starts, kernel[i], size, high, dilation[i], count_include_pad)
        for i, (size, starts, high) in enumerate(axes)
    ]
    kind = sums_in(gradient.dtype, gradient.dtype)
    # The windows that reach each cell, if there were windows in all directions.
    reaching = []
    for i, (size, starts, _) in enumerate(axes):
        far = range(-kernel[i] * dilation[i] - size, kernel[i] * dilation[i] + 2 * size)
        reaching.append([
            [o for o in far
             if any(starts[0] + o * stride[i] + k * dilation[i] == p for k in range(kernel[i]))]
            for p in range(size)
        ])  # fmt: skip
    most = math.prod(
        -(-kernel[i] * math.gcd(stride[i], dilation[i]) // stride[i]) for i in range(len(axes))
    )
    result = np.zeros(shape, gradient.dtype)
    for windows_, cells in zip(planes(gradient, layout), planes(result, layout), strict=True):
        for cell in np.ndindex(cells.shape):
            along = [reaching[i][p] for i, p in enumerate(cell)]
            numbers = {}
            for place in itertools.product(*(range(len(each)) for each in along)):
                window = tuple(along[i][o] for i, o in enumerate(place))
                inside = all(0 <= o < n for o, n in zip(window, windows_.shape, strict=True))
                divisor = divisor_override
                if inside and divisor is None:
                    divisor = math.prod(counts[i][o] for i, o in enumerate(window))
                with np.errstate(all="ignore"):
                    numbers[place] = kind(windows_[window]) / kind(divisor) if inside else kind(0)
            if all(along):
                with np.errstate(all="ignore"):
                    cells[cell] = summed(numbers, [len(each) for each in along], most, kind)
    return result
