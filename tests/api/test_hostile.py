"""Hostile arguments: the right answer or a documented error, and the same of both backends."""

import enum

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same
from guards import KINDS, Guarded
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check

pytestmark = pytest.mark.whole

BACKENDS = ("numpy", "numba")
DOCUMENTED = (ValueError, TypeError, IndexError, MemoryError, fastpool.BackendUnavailable)
# What a hostile argument means: nothing, or what no loop over taps could find out in time.
BAD, UNKNOWN = enum.Enum("Meaning", ("BAD", "UNKNOWN"))


class Index:
    """An object that stands for an integer, or raises instead."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        if isinstance(self.value, type):
            raise self.value("no integer")
        return self.value


class Array:
    """An object that raises where it should become an array."""

    def __init__(self, error):
        self.error = error

    def __array__(self, *arguments, **options):
        raise self.error("no array")


class Typed:
    """An object that raises where it should say its dtype."""

    @property
    def dtype(self):
        raise ZeroDivisionError


class Subclass(np.ndarray):
    """No more than its name."""


Two = enum.IntEnum("Two", {"TWO": 2})


def nested(depth, make):
    value = make([])
    for _ in range(depth):
        value = make([value])
    return value


RECURSIVE = []
RECURSIVE.append(RECURSIVE)

GOOD_NUMBERS = [
    (np.int8(2), 2), (np.uint64(2), 2), (np.array(2), 2), (Index(2), 2), (Two.TWO, 2),
    ([2, 1], (2, 1)), ((np.int64(1), Index(2)), (1, 2)), (np.array([2, 1], np.uint8), (2, 1)),
    (np.array([[1], [2]])[:, 0], (1, 2)),
]  # fmt: skip
BAD_NUMBERS = [
    "2", b"2", "", 2.0, float("nan"), 1j, True, np.True_, np.float64(2), np.array(2.0), object(),
    -1, -(2**31), -(2**63), 2**63, 2**64 + 1, 10**30, 10**5000, -(10**5000), Ellipsis, {2}, {},
    Index(TypeError), Index(ZeroDivisionError), Index(MemoryError), Index("2"), Index(-1),
    (), (2,), (2, 2, 2), [2] * 10**5, (2.0, 2), (2, None), (2, Index(KeyError)), (10**5000, 2),
    (10**5000,), [[2, 2]], ((2, 2),), (((1, 1), (1, 1)), 1), np.array([2.0, 2.0]), range(2),
    np.array([2, 2, 2]), np.array([[[2, 2]]]), np.broadcast_to(np.int64(2), 10**12),
    nested(900, tuple), nested(10**4, list), RECURSIVE, np.array([]), np.array([True, True]),
    np.array(["2", "2"]), np.ma.masked, np.datetime64(2, "s"), slice(2), int, Index(2).__index__,
]  # fmt: skip
HUGE_NUMBERS = [2**31, 2**31 + 1, 2**32 + 1, 2**53 + 1, 2**62 - 1, 2**62, 2**63 - 1]
HUGE_NUMBERS += [(1, 2**31), (2**40, 1), (2**61, 2**61 + 1)]


def choices(good=(), bad=(), huge=()):
    """Pairs of a value and what it means."""
    pairs = [*good, *((value, BAD) for value in bad), *((value, UNKNOWN) for value in huge)]
    # By number: some of the values cannot be hashed, or shown.
    strategy = st.integers(0, len(pairs) - 1).map(pairs.__getitem__)
    strategy.pairs = pairs
    return strategy


ZERO_AND_NONE = (0, (0, 1), (1, 0), None)
HOSTILE = {
    "kernel_size": choices(
        GOOD_NUMBERS, [*BAD_NUMBERS, *ZERO_AND_NONE, "same", ((1, 1), (1, 1))], HUGE_NUMBERS
    ),
    "stride": choices(
        [*GOOD_NUMBERS, (None, None)], [*BAD_NUMBERS, *ZERO_AND_NONE[:3], "valid"], HUGE_NUMBERS
    ),
    "dilation": choices(GOOD_NUMBERS, [*BAD_NUMBERS, *ZERO_AND_NONE], HUGE_NUMBERS),
    "padding": choices(
        [
            *GOOD_NUMBERS,
            ([[1, 0], (0, Index(1))], ((1, 0), (0, 1))),
            (np.array([[1, 0], [0, 1]], np.int8), ((1, 0), (0, 1))),
            (np.str_("same"), "same"),
            (0, 0),
        ],
        [*BAD_NUMBERS, None, "SAME", "same\0", "full" * 10**5, ((1, 1), 1), ((1, 1), (1,)),
         ((1, 1), (1, -1)), ((1, 1), (1, 1), (1, 1)), (("same", "same"), (1, 1)), b"same"],
        [*HUGE_NUMBERS, ((2**31, 1), (1, 1)), ((0, 2**62), (0, 0))],
    ),
    "ceil_mode": choices([(np.True_, True), (np.False_, False)], [0, None, "no", np.array(True)]),
    "layout": choices(
        [(np.str_("NHWC"), "NHWC"), ("NHWC", "NHWC"), ("NCHW", "NCHW")],
        ["nhwc", None, b"NHWC", 1, ("NHWC",), "NHWC\0", "NHWC" * 10**5, ["NHWC"], np.array("NHWC")],
    ),
    "index_format": choices(
        [(np.str_("window"), "window"), ("window", "window"), ("flat", "flat")],
        ["Flat", None, 0, b"flat", "", ("flat",), "\ud800", np.array(["flat"])],
    ),
}  # fmt: skip


def arrays_like(x):
    """Pairs of an argument and the array that it means, all of them near `x`."""
    kept = np.ascontiguousarray(x)
    good = [
        kept, kept.view(Subclass), kept.astype(kept.dtype.newbyteorder("S")), kept.tolist(),
        memoryview(kept), np.asfortranarray(kept), kept[..., ::-1][..., ::-1], kept[np.newaxis][0],
    ]  # fmt: skip
    good += [check.in_memory(np.random.default_rng(0), kept, name) for name in check.MEMORIES[:9]]
    bad = [
        kept.reshape(-1)[0], kept.reshape(-1), kept[..., :0, :], [[1, 2], [3]], nested(99, list),
        kept.astype(complex), kept.astype(object), kept.astype(np.longdouble), kept.astype(str),
        np.ma.masked_array(kept, False), np.zeros(kept.shape, "M8[s]"), kept.view("V1"), RECURSIVE,
        np.zeros(kept.shape, [("a", np.float32)]), None, "x", b"x", object(), Index(1), {}, {1},
        Array(ZeroDivisionError), Array(TypeError), Array(ValueError), Array(MemoryError),
        [10**30], 10**5000, Ellipsis, int, (n for n in kept),
    ]  # fmt: skip
    return choices([(value, np.asarray(value)) for value in good], bad)


def held(value):
    """The bytes of an array argument, to see later that it was not written."""
    small = isinstance(value, np.ndarray) and value.size < 10**6
    return np.asarray(value).tobytes() if small else None


def outcome(function, *arguments, **options):
    """What a call returns, in a tuple, or the text of a documented error."""
    try:
        result = function(*arguments, **options)
    except Exception as error:
        assert type(error) in DOCUMENTED, repr(error)[:500]
        assert str(error).startswith(f"{function.__name__}: "), str(error)[:500]
        assert len(str(error)) < 3000
        return f"{type(error).__name__}: {error}"
    return result if isinstance(result, tuple) else (result,)


def settle(function, arguments, options, outs, expected):
    """Call both backends and judge what comes of it.

    `outs` are shapes, dtypes and kinds of guarded outputs, or None; `expected` are the arrays,
    BAD for an error, or UNKNOWN.
    """
    inputs = [*arguments, *options.values()]
    before, found = [held(value) for value in inputs], []
    for backend in BACKENDS:
        frames = [Guarded(*out) for out in outs or ()]
        views = tuple(frame.array for frame in frames)
        if outs:
            options = {**options, "out": views if len(views) > 1 else views[0]}
        result = outcome(function, *arguments, **options, backend=backend)
        assert [held(value) for value in inputs] == before
        for frame in frames:
            frame.check()
            if isinstance(result, str) and not result.startswith("IndexError"):
                frame.check_untouched()
        if outs and not isinstance(result, str):
            assert all(a is b for a, b in zip(result, views, strict=True))
        found.append(result)
    if isinstance(found[0], str) or isinstance(found[1], str):
        assert found[0] == found[1]
        assert isinstance(expected, enum.Enum) or "is out of reach" in found[0], found[0]
        return
    assert expected is not BAD
    for wanted in found[1], expected if expected is not UNKNOWN else found[1]:
        for a, b in zip(found[0], wanted, strict=True):
            assert_same(a, b, any_nan=function is fastpool.maxpool2d_backward)


@st.composite
def geometries(draw):
    """A shape, arguments of which some are hostile, and what they mean."""
    shape, plain = draw(strategies.geometries())
    arguments, verdicts = dict(plain), []
    for name in draw(st.lists(st.sampled_from(list(HOSTILE)), max_size=2, unique=True)):
        value, meaning = draw(HOSTILE[name])
        if isinstance(meaning, enum.Enum):
            if meaning in verdicts:
                continue  # of two huge numbers, the output may be as huge
            verdicts.append(meaning)
        arguments[name], plain[name] = value, meaning
    return shape, arguments, min(verdicts, key=lambda v: v.value, default=plain)


def meaning_of(function, parts, otherwise, *arguments, **options):
    """What the oracle says if all parts of a call have a meaning; where it refuses, `otherwise`."""
    for verdict in (BAD, UNKNOWN):
        if any(part is verdict for part in parts):
            return verdict
    try:
        result = function(*arguments, **options)
    except ValueError:
        return otherwise
    if isinstance(result, int):  # the position of a bad index
        return BAD
    return result if isinstance(result, tuple) else (result,)


def guarded(draw, expected, otherwise):
    """Where to put the results `expected`; `otherwise` if they are an error, or nowhere."""
    if expected is UNKNOWN or draw(st.booleans()):
        return None
    if expected is not BAD:
        otherwise = [(a.shape, a.dtype) for a in expected]
    return [(*kind, draw(st.sampled_from(KINDS))) for kind in otherwise]


# Most are errors, and soon over.
many = settings(max_examples=4 * settings.default.max_examples)
TWO = st.integers(1, 2)
DTYPES = st.sampled_from(("float32", "int8")).map(np.dtype)


@many
@given(st.data(), geometries(), DTYPES)
@pytest.mark.numba
def test_forward(data, geometry, dtype):
    shape, arguments, plain = geometry
    x = check.adversarial(np.random.default_rng(0), shape, dtype, "ties")
    x, array = data.draw(st.one_of(st.just((x, x)), arrays_like(x)))
    returns, count = data.draw(
        choices([(True, 2), (np.True_, 2), (False, 1), (np.False_, 1)], [0, 1, None, "True"])
    )
    parts = plain, array, count
    options = plain if isinstance(plain, dict) else {}
    expected = meaning_of(oracle.maxpool, parts, BAD, array, **options)
    if isinstance(expected, tuple):
        expected = expected[:count]
    arguments["return_indices"] = returns
    outs = guarded(data.draw, expected, [(shape, dtype), (shape, np.int64)][: data.draw(TWO)])
    settle(fastpool.maxpool2d, (x,), arguments, outs, expected)


@pytest.mark.numba
@pytest.mark.parametrize("name", HOSTILE)
def test_every_value_of(name):
    """Each hostile value once, on its own."""
    x = np.arange(24, dtype=np.int8).reshape(4, 6, 1)
    plain = {"kernel_size": 2, "layout": "NHWC"}
    for value, meaning in HOSTILE[name].pairs:
        known = not isinstance(meaning, enum.Enum)
        options = {**plain, name: meaning if known else plain.get(name, 1)}
        expected = meaning_of(oracle.maxpool, (meaning,), BAD, x, **options)
        if known and isinstance(expected, tuple):
            expected = expected[:1]
        settle(fastpool.maxpool2d, (x,), {**plain, name: value}, None, expected)


SCALARS = [(value, meaning) for value, meaning in GOOD_NUMBERS if not isinstance(meaning, tuple)]


def means(value):
    """The integer that a value stands for, of those that are none for a kernel; or None."""
    value = value.value if isinstance(value, Index) else value
    return value if type(value) is int else None


FLAGS = choices([(np.True_, True), (np.False_, False)], [0, 1, None, "yes", np.array(True), [True]])
WHOLE = [*BAD_NUMBERS, *HUGE_NUMBERS]
DIVISORS = choices(
    [
        *SCALARS, (None, None),
        *((v, means(v)) for v in WHOLE if means(v) and abs(means(v)) < 2**62),
    ],
    [0, Index(0), *(v for v in WHOLE if not means(v) or abs(means(v)) >= 2**62)],
)  # fmt: skip
FLOAT_TYPES = choices(
    [("f4", "float32"), (np.float64, "float64"), (float, "float64"), ("float64", "float64"),
     (np.dtype("f8"), "float64"), (None, None), ("float16", "float16")],
    [int, "int8", bool, "complex64", "nonsense", "f4,f4", "O", "M8[s]", "U3", "V4", "",
     np.longdouble, 5, -1, 2.0, b"x", object(), Ellipsis, {}, (), [1], {"names": 3}, RECURSIVE,
     nested(900, tuple), [("a", np.float32)], (np.float32, (2,)), np.array(2), Array(MemoryError),
     Typed(), "f4" * 10**5, "\ud800"],
)  # fmt: skip
ADAPTIVE = choices(
    [
        *GOOD_NUMBERS, (None, None), ((None, 2), (None, 2)), ([2, None], (2, None)), (0, 0),
        ((0, 2), (0, 2)), ((2, None), (2, None)), (Index(0), 0),
    ],
    [
        value for value in BAD_NUMBERS
        if not (isinstance(value, tuple) and len(value) == 2 and None in value)
    ],
    [2**53 + 1, 2**62 - 1, 2**62, 2**63 - 1, (2**40, 1), (2**61, 2**61 + 1), (1, 2**53)],
)  # fmt: skip
NORMS = choices(
    [
        *SCALARS, (1, 1), (2.0, 2), (np.float64(3), 3), (np.float16(2), 2), (float("inf"), np.inf),
        (np.float32("inf"), np.inf), (2**31, 2**31), (10.0, 10),
    ],
    [
        0, 0.0, -0.0, 0.5, -1.0, -float("inf"), 1.5, None,
        *(
            value for value in BAD_NUMBERS
            if not (isinstance(value, float) and value == 2) and not (means(value) or 0) > 0
        ),
    ],
    [*HUGE_NUMBERS, 10**30, 10**5000, 1e300],
)  # fmt: skip
# By name: the function, its arrays, its other arguments, and the hostile one.
ONE_HOSTILE = {
    "count_include_pad": (
        "avgpool2d", "x", {"kernel_size": 3, "stride": 1, "padding": 1}, "count_include_pad", FLAGS
    ),
    "divisor_override": ("avgpool2d", "x", {"kernel_size": 2}, "divisor_override", DIVISORS),
    "dtype of averages": ("avgpool2d", "x", {"kernel_size": 2}, "dtype", FLOAT_TYPES),
    "dtype of sums": ("sumpool2d", "x", {"kernel_size": 2}, "dtype", FLOAT_TYPES),
    "adaptive dtype": ("adaptive_avgpool2d", "x", {"output_size": 2}, "dtype", FLOAT_TYPES),
    "average": ("adaptive_avgpool2d", "x", {}, "output_size", ADAPTIVE),
    "maximum": ("adaptive_maxpool2d", "x", {}, "output_size", ADAPTIVE),
    "norm": ("lppool2d", "x", {"kernel_size": 2}, "norm_type", NORMS),
    "gradient of norms": ("lppool2d_backward", "gx", {"kernel_size": 2}, "norm_type", NORMS),
    "gradient's divisor": (
        "avgpool2d_backward", "g", {"input_shape": (2, 4, 6), "kernel_size": 2},
        "divisor_override", DIVISORS,
    ),
    "adaptive gradient": (
        "adaptive_avgpool2d_backward", "g", {"input_shape": (2, 4, 6)}, "output_size",
        choices([((2, 3), (2, 3)), ([Index(2), 3], (2, 3))], BAD_NUMBERS,
                [value for value, meaning in ADAPTIVE.pairs if meaning is UNKNOWN]),
    ),
}  # fmt: skip


@pytest.mark.numba
@pytest.mark.parametrize("case", ONE_HOSTILE.values(), ids=ONE_HOSTILE.keys())
def test_every_value_in_the_family(case):
    """Of sums, averages, norms and adaptive functions, what only they take."""
    name, inputs, options, hostile, values = case
    function, rng = getattr(fastpool, name), np.random.default_rng(0)
    arrays = {"x": rng.standard_normal((2, 4, 6)), "g": rng.standard_normal((2, 2, 3))}
    positional = tuple(arrays[each].astype(np.float32) for each in inputs)
    for value, meaning in values.pairs:
        expected = meaning
        if not isinstance(meaning, enum.Enum):
            plain = {**options, hostile: meaning}
            expected = (function(*positional, **plain, backend="numpy"),)
        settle(function, positional, {**options, hostile: value}, None, expected)


def shapes_like(shape):
    """Pairs of an argument and the shape that it means."""
    good = [list(shape), np.array(shape), np.array(shape, np.uint16), [Index(n) for n in shape]]
    bad = [
        None, 5, "55", (), shape[:-1], (1, *shape), (*shape, 1), (*shape[:-2], 0, 0), {1, 2},
        [-n for n in shape], [float(n) for n in shape], [True] * len(shape), np.array(5),
        [2**62] * len(shape), [2**63] * len(shape), [10**5000] * len(shape), [1] * 65,
        [1] * 10**5, np.broadcast_to(np.int64(5), 10**12), np.array([shape]), RECURSIVE,
        nested(900, tuple), [Index(ZeroDivisionError)] * len(shape), (*shape[:-1], None),
        (2**40, *shape), (*shape[:-2], 2**62 - 1, 2**62 - 1), (*shape[:-1], 2**40),
    ]  # fmt: skip
    return choices([(value, shape) for value in good], bad)


def codes_like(indices, plane):
    """Pairs of an argument and the indices that it means, some of them out of bounds."""
    wide, codes = indices.astype(np.int64), [indices]
    numbers = (-1, plane, plane + 1, 2 * plane, 2**31, 2**32 + 3, 2**63 - 1, -(2**63), -plane)
    for at, number in enumerate((*numbers, *range(min(plane, 20)))):
        wrong = wide.copy()
        wrong.reshape(-1)[at * 7 % wide.size] = number
        codes.append(wrong)
    codes += [wide[..., ::-1], np.roll(wide, 1), wide.astype(np.uint64) - 1, wide.astype(np.int8)]
    codes += [wide.astype(kind) for kind in (">i8", ">u2", "u1", "i4", "<u8", np.longlong)]
    wrong = wide.astype(np.uint64)
    wrong[...] = 2**64 - 1
    codes += [wrong, np.broadcast_to(wide.reshape(-1)[0], wide.shape), wide.view(Subclass)]
    good = [(code, np.asarray(code)) for code in codes] + [(wide.tolist(), wide)]
    bad = [
        wide.astype(float), wide.astype(bool), wide.astype(object), wide.astype("M8[s]"), None,
        wide[..., :-1], wide[np.newaxis], wide.reshape(-1)[0], [[2**70]], "0", [[0], [1, 2]],
        np.ma.masked_array(wide, False), Array(ZeroDivisionError), RECURSIVE, object(), {0},
    ]  # fmt: skip
    return choices(good, bad)


@many
@given(st.data(), geometries(), DTYPES, st.booleans())
@pytest.mark.numba
def test_backward_and_unpool(data, geometry, dtype, gradient):
    shape, arguments, plain = geometry
    known = isinstance(plain, dict)
    options = plain if known else {}
    x = np.random.default_rng(0).integers(0, 4, shape)
    pooled = meaning_of(oracle.maxpool, (plain,), BAD, x, **options)
    if not isinstance(pooled, tuple):
        pooled = x, np.zeros(shape, np.int64)
    spatial = shape[-2:] if options.get("layout", "NCHW") == "NCHW" else (1, *shape)[-3:-1]
    values = check.adversarial(np.random.default_rng(0), pooled[0].shape, dtype, "random")
    values, array = data.draw(st.one_of(st.just((values, values)), arrays_like(values)))
    codes = codes_like(pooled[1], spatial[0] * spatial[1])
    indices, places = data.draw(st.one_of(st.just((pooled[1], pooled[1])), codes))
    size, sizes = shape, shape
    if (known or gradient) and data.draw(st.booleans()):
        size, sizes = data.draw(shapes_like(shape))
    if gradient:
        function, positional = fastpool.maxpool2d_backward, (values, indices, size)
        parts, otherwise = (array, places, plain, sizes), BAD
    else:
        function, positional = fastpool.maxunpool2d, (values, indices)
        del arguments["ceil_mode"]
        arguments["output_size"] = size
        # There are more sizes to unpool to than shapes to pool from, the default among them.
        certain = known and sizes is not BAD
        parts, otherwise = (array, places, None if certain else UNKNOWN), UNKNOWN
    expected = meaning_of(
        oracle.scatter, parts, otherwise, array, places, sizes, gradient, **options
    )
    outs = guarded(data.draw, expected, [(shape, dtype)])
    settle(function, positional, arguments, outs, expected)


MOST_AXES = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32


@pytest.mark.parametrize("axes", [17, 31, 32, 33, 63, 64, 65])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_as_many_axes_as_numpy_has(backend, axes, layout):
    """Canonical arrays have one axis more, and NumPy indexes along 32 at most."""
    if axes > MOST_AXES:
        shape = (1,) * axes
        with pytest.raises(ValueError, match="maxpool2d_backward: "):
            fastpool.maxpool2d_backward([[1]], [[0]], shape, 1, layout=layout, backend=backend)
        return
    short = (2, 3, 5, 4) if layout == "NCHW" else (2, 3, 5, 4, 2)
    lead = [1] * (axes - len(short))
    shape = (2, *lead, 3, *short[2:])
    x = np.random.default_rng(0).integers(0, 9, short).astype(np.int8)
    options = {"layout": layout, "backend": backend}
    expected = fastpool.maxpool2d(x, 2, return_indices=True, **options)
    long = (2, *lead, 3, *expected.output.shape[2:])
    out = tuple(np.empty(long, array.dtype) for array in expected)
    for target in (None, out):
        found = fastpool.maxpool2d(x.reshape(shape), 2, return_indices=True, out=target, **options)
        for array, wanted in zip(found, expected, strict=True):
            assert_same(array, wanted.reshape(long))
    gradient, indices = found
    assert_same(
        fastpool.maxpool2d_backward(gradient, indices, shape, 2, **options),
        fastpool.maxpool2d_backward(*expected, short, 2, **options).reshape(shape),
    )
    assert_same(
        fastpool.maxunpool2d(gradient, indices, 2, output_size=shape, **options),
        fastpool.maxunpool2d(*expected, 2, output_size=short, **options).reshape(shape),
    )
    indices = indices.copy()
    indices.reshape(-1)[7] = -1
    position = [int(n) for n in np.unravel_index(7, long)]
    with pytest.raises(IndexError) as caught:
        fastpool.maxunpool2d(gradient, indices, 2, **options)
    assert str(caught.value).startswith(f"maxunpool2d: indices{position} = -1 ")


def test_dtypes_that_only_look_known(backend):
    """An 8-bit float of ml_dtypes says that its kind is "f"."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in ("float8_e5m2", "float8_e4m3fn", "int4"):
        x = np.zeros((2, 2), getattr(ml_dtypes, name))
        with pytest.raises(TypeError, match="supported are float16"):
            fastpool.maxpool2d(x, 1, backend=backend)


X = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
OUTPUT, INDICES = fastpool.maxpool2d(X, 2, return_indices=True, backend="numpy")
CALLS = {
    "forward": (fastpool.maxpool2d, (X, 2), {}, (OUTPUT,)),
    "indices": (fastpool.maxpool2d, (X, 2), {"return_indices": True}, (OUTPUT, INDICES)),
    "backward": (
        fastpool.maxpool2d_backward, (OUTPUT, INDICES, X.shape, 2), {},
        (oracle.scatter(OUTPUT, INDICES, X.shape, True, 2),),
    ),
    "unpool": (
        fastpool.maxunpool2d, (OUTPUT, INDICES, 2), {},
        (oracle.scatter(OUTPUT, INDICES, X.shape, False, 2),),
    ),
}  # fmt: skip


def outs_like(expected, x):
    """By name, an `out` and whether it can be taken."""
    first, *rest = (np.full_like(array, 7) for array in expected)
    plane, row, cell = first.strides

    def strided(*strides):
        memory = np.full(999, 7, first.dtype)
        return np.lib.stride_tricks.as_strided(memory[500:], first.shape, strides)

    def over(array):
        return np.ndarray(first.shape, first.dtype, array)

    read_only = first.copy()
    read_only.flags.writeable = False
    singles = {
        "subclass": (first.copy().view(Subclass), True),
        "odd strides": (strided(3 * plane + 1, 2 * row + 1, cell + 1), True),
        "negative strides": (strided(-plane, -row, -cell), True),
        "axes in another order": (strided(cell, 2 * plane, 2 * cell), True),
        "zero stride": (strided(plane, 0, cell), False),
        "overlapping rows": (strided(4 * plane, cell, cell), False),
        "overlapping bytes": (strided(4 * plane, 4 * row, 1), False),
        "read-only": (read_only, False),
        "wrong shape": (first[..., :-1].copy(), False),
        "another axis": (first[np.newaxis], False),
        "one axis": (first.reshape(-1), False),
        "wrong dtype": (first.astype(np.float64), False),
        "same bits": (first.view(np.int32), False),
        "byte-swapped": (first.astype(first.dtype.newbyteorder("S")), False),
        "masked": (np.ma.masked_array(first, False), False),
        "list": (first.tolist(), False),
        "memoryview": (memoryview(first), False),
        "text": ("out", False),
        "scalar": (np.float32(0), False),
        "input": (over(x), False),
        "end of the input": (over(x[3:]), False),
    }
    if rest:
        outs = {name: ((out, *rest), fits) for name, (out, fits) in singles.items()}
        outs["both in one"] = (over(rest[0]), rest[0]), False
        outs["twice"] = (first, first), False
        outs["list of both"] = [first, *rest], False
        outs["output alone"] = first, False
    else:
        outs = singles
        outs["tuple"] = (first,), False
    return {**outs, "none": ((), False), "three": ((first, *rest, read_only)[:3] * 3, False)}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_out(backend, call):
    """An out that fits is filled, whatever its strides; any other is left alone."""
    function, positional, options, expected = call
    x = np.zeros(99, np.float32)[: positional[0].size].reshape(positional[0].shape)
    x[...] = positional[0]
    inputs = x, *positional[1:]
    for name, (out, fits) in outs_like(expected, x.base).items():
        outs = out if isinstance(out, tuple) else (out,)
        for _ in range(2):  # the second call is like one that was made before
            before = [held(value) for value in (*inputs, *outs)]
            result = outcome(function, *inputs, **options, out=out, backend=backend)
            assert isinstance(result, str) is not fits, (name, result)
            if fits:
                assert all(found is target for found, target in zip(result, outs, strict=True))
                for found, wanted in zip(result, expected, strict=True):
                    assert_same(np.asarray(found), wanted)
            else:
                assert [held(value) for value in (*inputs, *outs)] == before, name
