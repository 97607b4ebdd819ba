"""A self-test on this machine: random geometries and adversarial data, backend against backend."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from . import api
from .arrays import DTYPES, infinity_bits, is_half
from .dispatch import backends
from .geometry import Geometry, pooling

STYLES = ("random", "ties", "zeros", "nans", "infinities", "lowest", "bits")
MEMORIES = (
    "contiguous", "fortran", "reversed", "strided", "cropped", "swapped", "unaligned",
    "read-only", "broadcast", "record",
)  # fmt: skip


class Case(NamedTuple):
    """One pooling: an input shape and the arguments of `maxpool2d`."""

    shape: tuple[int, ...]
    arguments: dict[str, Any]
    geometry: Geometry


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
    """Values that broke other libraries: ties, signed zeros, NaN payloads, extremes."""
    floating = dtype.kind == "f" or is_half(dtype)
    if dtype.kind == "b" and style == "bits":  # every byte but 0 is True, and half are
        bools: np.ndarray = rng.integers(0, 256, shape, np.uint8)
        bools *= rng.integers(0, 2, shape, np.uint8)
        return bools.view(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < (0.1 if style == "lowest" else 0.5)
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
    """The same values in another memory; "broadcast" repeats those of the first leading index."""
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


def random_case(rng: np.random.Generator, large: bool = False) -> Case:
    """A valid geometry: usually a small one, with everything that the arguments allow."""

    def pair(low: int, high: int) -> tuple[int, int]:
        height, width = rng.integers(low, high + 1, 2)
        return int(height), int(width)

    while True:
        layout = str(rng.choice(("NCHW", "NHWC")))
        sizes = pair(60, 200) if large else pair(1, 24)
        lead = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 4)))
        channels = (int(rng.choice((1, 2, 3, 17))),) if layout == "NHWC" else ()
        shape = (*lead, *sizes, *channels)
        kernel = pair(1, 40) if rng.random() < 0.1 else pair(1, 6)
        dilation = pair(1, 4) if rng.random() < 0.4 else (1, 1)
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        padding: Any = tuple((int(rng.integers(r + 1)), int(rng.integers(r + 1))) for r in reach)
        padding = (padding, 0, "same", "valid")[rng.choice(4, p=(0.5, 0.2, 0.2, 0.1))]
        arguments = {
            "kernel_size": kernel,
            "stride": None if rng.random() < 0.2 else pair(1, 5),
            "padding": padding,
            "dilation": dilation,
            "ceil_mode": bool(rng.random() < 0.4),
            "layout": layout,
            "index_format": str(rng.choice(("flat", "window"))),
        }
        try:
            return Case(shape, arguments, pooling("check", "x", shape, **arguments))
        except ValueError:
            continue  # windows that hold no cell, or a kernel that does not fit


def difference(a: np.ndarray, b: np.ndarray, any_nan: bool = False) -> str:
    """How two arrays differ in dtype, shape or bytes; empty if they do not.

    With `any_nan`, one NaN is as good as another: where two NaNs are added, IEEE 754 leaves
    open which of them the sum is.
    """
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype} {a.shape} against {b.dtype} {b.shape}"
    width = f"V{a.itemsize}"
    same = np.ascontiguousarray(a).view(width) == np.ascontiguousarray(b).view(width)
    if any_nan:
        same |= (a != a) & (b != b)
    if same.all():
        return ""
    position = tuple(int(n) for n in np.unravel_index(int(same.argmin()), same.shape))
    return f"{a[position]!r} against {b[position]!r} at {position} and {(~same).sum()} in all"


def outcome(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a call returns or, as text, what it raises."""
    try:
        return function(*arguments, **options)
    except (IndexError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def check_case(rng: np.random.Generator, case: Case, dtype: np.dtype[Any]) -> list[str]:
    """Run one case through both backends; what differed, if anything."""
    arguments, found = case.arguments, []

    def compare(name: str, a: Any, b: Any, any_nan: bool = False) -> None:
        if isinstance(a, str) or isinstance(b, str):
            text = "" if isinstance(a, str) and isinstance(b, str) and a == b else f"{a!r}, {b!r}"
        else:
            text = difference(a, b, any_nan)
        if text:
            found.append(f"{name}: {text}")

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        values = adversarial(rng, shape, dtype, str(rng.choice(STYLES)))
        return in_memory(rng, values, str(rng.choice(MEMORIES)))

    def both(function: Callable[..., Any], *positional: Any, **options: Any) -> tuple[Any, Any]:
        numpy, numba = (
            outcome(function, *positional, **options, backend=name) for name in ("numpy", "numba")
        )
        return numpy, numba

    x = draw(case.shape)
    numpy, numba = both(api.maxpool2d, x, return_indices=True, **arguments)
    compare("maxpool2d, output", numpy.output, numba.output)
    compare("maxpool2d, indices", numpy.indices, numba.indices)
    compare("maxpool2d, values only", *both(api.maxpool2d, x, **arguments))

    # Not repeated along an axis, which would make other indices of them.
    memories = [memory for memory in MEMORIES if memory != "broadcast"]
    indices = in_memory(rng, numpy.indices, str(rng.choice(memories)))
    gradient = draw(numpy.output.shape)
    unpool = {k: v for k, v in arguments.items() if k != "ceil_mode"}
    height, width = case.geometry.height, case.geometry.width
    unpool["output_size"] = (height.size, width.size)
    any_nan = case.geometry.overlapping
    if indices.size and rng.random() < 0.2:
        indices = indices.copy()
        place = rng.integers(indices.size, size=2)
        low, high = -2, 2 * height.size * width.size
        if indices.dtype.kind == "u":
            low, high = 0, min(np.iinfo(indices.dtype).max, 2 * height.kernel * width.kernel)
        indices.reshape(-1)[place] = rng.integers(low, high + 1, 2)
    compare(
        "maxpool2d_backward",
        *both(api.maxpool2d_backward, gradient, indices, case.shape, **arguments),
        any_nan=any_nan,
    )
    compare("maxunpool2d", *both(api.maxunpool2d, gradient, indices, **unpool))
    return [f"{text}\n  {dtype} {case.shape} {arguments}" for text in found]


def run(cases: int, seed: int) -> int:
    """Compare the backends on `cases` random cases; the exit status.

    0: they agree. 1: they do not. 2: one of them cannot be used here.
    """
    for status in backends():
        if not status.available:
            print(f"nothing to compare: {status.reason}", file=sys.stderr)
            return 2
    rng = np.random.default_rng(seed)
    dtypes = list(usable_dtypes().values())
    if len(dtypes) < len(DTYPES):
        print("bfloat16 is left out: ml_dtypes is not installed")
    start = time.perf_counter()
    failures: list[str] = []
    failed = 0
    print(f"checking {cases} cases, seed {seed}; the first of each dtype compile for seconds")
    for number in range(cases):
        case = random_case(rng, large=number % 50 == 49)
        found = check_case(rng, case, dtypes[number % len(dtypes)])
        failed += bool(found)
        failures += found
        _show_progress(number + 1, cases, failed, time.perf_counter() - start)
    for text in failures[:10]:
        print(text)
    if len(failures) > 10:
        print(f"... and {len(failures) - 10} more differences")
    print(
        f"{cases - failed} of {cases} cases agree bit for bit in numpy and numba, "
        f"in {time.perf_counter() - start:.0f} s"
    )
    return 1 if failed else 0


def _show_progress(done: int, total: int, failed: int, seconds: float) -> None:
    """One line that rewrites itself on a terminal, ten lines elsewhere."""
    terminal = sys.stdout.isatty()
    if not terminal and done % max(1, total // 10) and done != total:
        return
    bar = "#" * (30 * done // total)
    line = f"[{bar:<30}] {done}/{total}, {failed} failed, {seconds:.0f} s"
    print(f"\r{line}" if terminal else line, end="" if terminal and done < total else "\n")
    sys.stdout.flush()
