"""``python -m fastpool check``: both backends compute the same bytes on this machine.

The geometries are random, in 1-D, 2-D and 3-D, and the data are those of `adversarial`.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fastpool

from ..dispatch.table import COMPILED, PLAIN
from ..rules.arrays import DTYPES
from ..rules.geometry import Geometry
from .adversarial import MEMORIES, STYLES, adversarial, in_memory, usable_dtypes
from .adversarial import dtype_of as dtype_of
from .cases import MEMBERS as MEMBERS
from .cases import Case, random_case
from .image_cases import block_arguments, filter_arguments

# The two whose results are compared.
BACKENDS = (PLAIN, COMPILED)

# Cases of a window and dtype, whose kernels take a second or two to compile.
TIMES = 10

# Taps that the NumPy backend is to sort for the most frequent values: a second's.
SORTED = 2**21

# One of each way to take a root, and the largest value.
NORMS = (1, 2, 3, 5, math.inf)


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
        with np.errstate(invalid="ignore"):  # ml_dtypes sees NaN as invalid to compare
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


class Comparison:
    """One case of one dtype, run through both backends.

    Attributes
    ----------
    found : list of str
        What differed.
    """

    def __init__(self, rng: np.random.Generator, case: Case, dtype: np.dtype[Any]) -> None:
        self.rng, self.case, self.dtype = rng, case, dtype
        self.found: list[str] = []
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "layout")
        self.windows = {name: case.arguments[name] for name in names}

    def draw(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array that is hard to pool."""
        values = adversarial(self.rng, shape, self.dtype, str(self.rng.choice(STYLES)))
        return in_memory(self.rng, values, str(self.rng.choice(MEMORIES)))

    def both(self, name: str, *positional: Any, **options: Any) -> tuple[Any, Any]:
        """What both backends answer."""
        function = getattr(fastpool, name)
        first, second = (
            outcome(function, *positional, **options, backend=backend) for backend in BACKENDS
        )
        return first, second

    def compare(self, what: str, a: Any, b: Any, any_nan: bool = False) -> None:
        """Note how two answers differ, if they do."""
        if isinstance(a, str) or isinstance(b, str):
            text = "" if isinstance(a, str) and isinstance(b, str) and a == b else f"{a!r}, {b!r}"
        else:
            text = difference(a, b, any_nan)
        if text:
            self.found.append(f"{what}: {text}")

    def sums(self, name: str, *positional: Any, **options: Any) -> None:
        """Compare the answers of a function that adds, whose NaNs are any."""
        self.compare(name, *self.both(name, *positional, **options), any_nan=True)

    def picked(self, name: str, x: np.ndarray, **options: Any) -> Any:
        """Compare the answers of a function that picks cells; the first one, with indices."""
        first, second = self.both(name, x, return_indices=True, **options)
        if isinstance(first, str) or isinstance(second, str):
            self.compare(name, first, second)
        else:
            self.compare(f"{name}, output", first.output, second.output)
            self.compare(f"{name}, indices", first.indices, second.indices)
        self.compare(f"{name}, values only", *self.both(name, x, **options))
        return first

    def laid(self, indices: np.ndarray) -> np.ndarray:
        """The indices in awkward memory."""
        # A broadcast array repeats indices, which would then name cells of other windows.
        memories = [memory for memory in MEMORIES if memory != "broadcast"]
        return in_memory(self.rng, indices, str(self.rng.choice(memories)))


def check_case(rng: np.random.Generator, case: Case, dtype: np.dtype[Any]) -> list[str]:
    """Run one case through both backends; what differed, if anything."""
    comparison = Comparison(rng, case, dtype)
    x = comparison.draw(case.shape)
    _check_extremes(comparison, x)
    _check_averages(comparison, x)
    _check_norms(comparison, x)
    _check_adaptive(comparison, x)
    _check_blocks(comparison, x)
    _check_filters(comparison, x)
    taps = math.prod(case.geometry.output_shape) * math.prod(case.geometry.kernel)
    if dtype.kind in "iub" and taps <= SORTED:
        comparison.picked(f"modepool{case.dimensions}d", x, **case.arguments)
    return [f"{text}\n  {dtype} {case.shape} {case.arguments}" for text in comparison.found]


def _check_extremes(comparison: Comparison, x: np.ndarray) -> None:
    """The case's member, its gradient and the unpooling, some with bad indices."""
    case, arguments = comparison.case, comparison.case.arguments
    first = comparison.picked(case.pool, x, **arguments)
    if isinstance(first, str):
        return
    indices = comparison.laid(first.indices)
    if indices.size and comparison.rng.random() < 0.2:
        indices = _spoiled(comparison.rng, indices, case.geometry)
    gradient = comparison.draw(case.geometry.output_shape)
    any_nan = case.geometry.overlapping
    answers = comparison.both(case.backward, gradient, indices, case.shape, **arguments)
    comparison.compare(case.backward, *answers, any_nan=any_nan)
    unpool = {name: value for name, value in arguments.items() if name != "ceil_mode"}
    unpool["output_size"] = case.geometry.sizes
    comparison.compare(case.unpool, *comparison.both(case.unpool, gradient, indices, **unpool))


def _check_averages(comparison: Comparison, x: np.ndarray) -> None:
    """Sums and averages of the same windows, and the gradient of the average."""
    rng, case, windows = comparison.rng, comparison.case, comparison.windows
    average, total = (f"{name}pool{case.dimensions}d" for name in ("avg", "sum"))
    divisors = {
        "count_include_pad": bool(rng.random() < 0.6),
        "divisor_override": int(rng.choice((-3, 2, 7))) if rng.random() < 0.3 else None,
    }
    result = _result(rng, x.dtype)
    comparison.sums(average, x, **windows, **divisors, **result)
    comparison.sums(total, x, **windows, **result)
    if x.dtype.kind not in "iub":
        gradient = comparison.draw(case.geometry.output_shape)
        comparison.sums(f"{average}_backward", gradient, case.shape, **windows, **divisors)


def _check_norms(comparison: Comparison, x: np.ndarray) -> None:
    """A norm of the same windows, and its gradient."""
    case, name = comparison.case, f"lppool{comparison.case.dimensions}d"
    options = {**comparison.windows, "norm_type": NORMS[comparison.rng.integers(len(NORMS))]}
    comparison.sums(name, x, **options)
    if x.dtype.kind not in "iub":
        gradient = comparison.draw(case.geometry.output_shape)
        comparison.sums(f"{name}_backward", gradient, x, **options)


def _check_adaptive(comparison: Comparison, x: np.ndarray) -> None:
    """Adaptive maximum and average of the same input, and their gradients."""
    rng, case = comparison.rng, comparison.case
    layout = {"layout": case.arguments["layout"]}
    size = tuple(
        None if rng.random() < 0.1 else int(rng.integers(n + 3)) for n in case.geometry.sizes
    )
    largest, average = (f"adaptive_{name}pool{case.dimensions}d" for name in ("max", "avg"))
    first = comparison.picked(largest, x, output_size=size, **layout)
    comparison.sums(average, x, size, **layout, **_result(rng, x.dtype))
    if isinstance(first, str):
        return
    gradient, indices = comparison.draw(first.output.shape), comparison.laid(first.indices)
    if indices.size and rng.random() < 0.2:
        indices = _spoiled(rng, indices, case.geometry)
    comparison.sums(f"{largest}_backward", gradient, indices, case.shape, size, **layout)
    if x.dtype.kind not in "iub":
        comparison.sums(f"{average}_backward", gradient, case.shape, size, **layout)


def _check_blocks(comparison: Comparison, x: np.ndarray) -> None:
    """Blocks of the same input, along any of its axes."""
    calls = comparison.case.calls
    if calls.method in ("mode", "median") and x.size > SORTED:
        return
    x, arguments = block_arguments(comparison.rng, x, calls)
    first, second = comparison.both("downsample", x, **arguments)
    if isinstance(first, np.ma.MaskedArray) and isinstance(second, np.ma.MaskedArray):
        comparison.compare(f"downsample, mask, {arguments}", first.mask, second.mask)
        first, second = first.data, second.data
    any_nan = calls.method in ("mean", "sum")
    comparison.compare(f"downsample, {arguments}", first, second, any_nan)


def _check_filters(comparison: Comparison, x: np.ndarray) -> None:
    """A filter of the same input, along any of its axes."""
    calls = comparison.case.calls
    arguments = filter_arguments(comparison.rng, x, calls)
    answers = comparison.both(calls.filter, x, **arguments)
    any_nan = calls.filter == "uniform_filter"
    comparison.compare(f"{calls.filter}, {arguments}", *answers, any_nan)


def _result(rng: np.random.Generator, dtype: np.dtype[Any]) -> dict[str, Any]:
    """For sums of integers, often their own dtype as that of the result."""
    whole = dtype.kind in "iu" and rng.random() < 0.5
    return {"dtype": dtype.newbyteorder("=")} if whole else {}


def _spoiled(rng: np.random.Generator, indices: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A copy of the indices, two of which may name no cell or that of another window."""
    indices = indices.copy()
    low, high = -2, 2 * math.prod(geometry.sizes)
    if indices.dtype.kind == "u":
        low, high = 0, min(np.iinfo(indices.dtype).max, 2 * math.prod(geometry.kernel))
    places = rng.integers(indices.size, size=2)
    indices.reshape(-1)[places] = rng.integers(low, high + 1, 2)
    return indices


def run(cases: int, seed: int) -> int:
    """Compare the backends on `cases` random cases; the exit status.

    0: they agree. 1: they do not. 2: one of them cannot be used here.
    """
    for status in fastpool.available_backends():
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
    print(f"checking {cases} cases, seed {seed}; the first of {TIMES} compiles for seconds")
    case = None
    for number in range(cases):
        kind, time_of_kind = divmod(number, TIMES)
        case = random_case(rng, number % 50 == 49, case if time_of_kind else None)
        found = check_case(rng, case, dtypes[kind % len(dtypes)])
        failed += bool(found)
        failures += found
        _show_progress(number + 1, cases, failed, time.perf_counter() - start)
    for text in failures[:10]:
        print(text)
    if len(failures) > 10:
        print(f"... and {len(failures) - 10} more differences")
    print(
        f"{cases - failed} of {cases} cases agree bit for bit in {PLAIN} and {COMPILED}, "
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
