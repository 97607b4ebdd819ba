"""Sums, averages and gradients inside the user's own jitted functions: the same bits and errors."""

import json
import threading

import numpy as np
import process
import pytest
from bits import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.numba

import fastpool.interop.jitted  # noqa: E402  (it needs Numba)
from fastpool.interop.jitted import answer as answering  # noqa: E402

# Kernel, stride, padding, and dilation: of a few taps, with borders; a tree; one that sticks out.
SMALL = (3, 2), (2, 1), ((1, 1), (1, 0)), (1, 2)
TREE = (9, 11), (2, 1), ((4, 4), (5, 5)), (1, 1)
OUT = (2, 100), (1, 1), ((0, 0), (98, 97)), (1, 1)
WINDOWS = {"small": SMALL, "tree": TREE, "out": OUT}


@numba.njit
def average(x, k, s, p, d, c, padded, divisor):
    return fastpool.avgpool2d(x, k, s, p, c, padded, divisor, dilation=d)


@numba.njit
def average_as_it_was(x, k, s, p, d, c, padded, divisor):
    return fastpool.avgpool2d(x, k, s, p, c, padded, divisor, dilation=d, dtype=x.dtype)


@numba.njit
def gradient(g, shape, k, s, p, d, c, padded, divisor):
    return fastpool.avgpool2d_backward(g, shape, k, s, p, c, padded, divisor, dilation=d)


@numba.njit
def total(x, k, s, p, d, c):
    return fastpool.sumpool2d(x, k, s, p, c, dilation=d)


def outcome(function, *arguments):
    """The array that a function returns, or the type and the text of its error."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error), str(error)


def assert_agree(function, *arguments):
    """Python's outcome, and jitted code's, of a first call and of a repeated one."""
    expected = outcome(function.py_func, *arguments)
    for _ in range(2):
        found = outcome(function, *arguments)
        if isinstance(expected, np.ndarray):
            assert_same(found, expected, any_nan=True)
        else:
            assert found == expected
    return expected


@pytest.fixture
def answers_in_python(monkeypatch):
    """A list that grows with the calls that Python answers."""
    calls, answer = [], answering.answer_in_python

    def counted(*arguments):
        calls.append(arguments)
        return answer(*arguments)

    monkeypatch.setattr(answering, "answer_in_python", counted)
    return calls


def check_all(x, window, ceil_mode, padded=True, divisor=None):
    division = padded, divisor
    right = assert_agree(average, x, *window, ceil_mode, *division)
    if not isinstance(right, np.ndarray):
        return
    assert_agree(total, x, *window, ceil_mode)
    if x.dtype.kind == "f":
        g = check.adversarial(np.random.default_rng(1), right.shape, x.dtype, "random")
        assert_agree(gradient, g, x.shape, *window, ceil_mode, *division)
    elif x.dtype.kind != "b":
        assert_agree(average_as_it_was, x, *window, ceil_mode, *division)


@pytest.mark.parametrize("window", WINDOWS)
def test_every_window(window):
    """With every divisor, special values, and memory in another order."""
    x = np.random.default_rng(0).standard_normal((2, 3, 13, 15)).astype(np.float32)
    x[0, 0, 3, 4], x[1, 2, 3, 9], x[1, 1] = np.nan, np.inf, -0.0
    for number, (padded, divisor) in enumerate(((True, None), (False, None), (True, -6))):
        check_all(x, WINDOWS[window], number % 2 == 0, padded, divisor)


@pytest.mark.whole
@pytest.mark.parametrize("name", ["float64", "int8", "uint16", "int32", "int64", "uint64", "bool"])
def test_every_dtype(name):
    x = check.adversarial(np.random.default_rng(0), (2, 3, 13, 15), np.dtype(name), "random")
    for window in WINDOWS.values():
        check_all(x, window, False)
        check_all(x, window, True, False)
    strided = np.lib.stride_tricks.as_strided(x[:, :, ::2, ::-1], writeable=False)
    check_all(strided, SMALL, False)


side = st.integers(0, 3)
pairs = st.tuples(st.integers(1, 5), st.integers(1, 5))


@pytest.mark.whole
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@settings(max_examples=30)
@given(st.data())
def test_random(dtype, data):
    """Run-time windows of every kind, some impossible."""
    shape = data.draw(st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 12)] * 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = check.adversarial(rng, shape, np.dtype(dtype), data.draw(st.sampled_from(check.STYLES)))
    padding = data.draw(st.tuples(*[st.tuples(side, side)] * 2))
    window = data.draw(pairs), data.draw(pairs), padding, data.draw(pairs)
    check_all(x, window, data.draw(st.booleans()), data.draw(st.booleans()))


@numba.njit
def lines(x):
    output = fastpool.avgpool1d(x, 3, 1, 1, layout="NWC")
    back = fastpool.avgpool1d_backward(output, x.shape, 3, 1, 1, layout="NWC")
    return output, back, fastpool.sumpool1d(x, 3, 1, 1, layout="NWC")


@numba.njit
def volumes(x):
    output = fastpool.avgpool3d(x, 2)
    back = fastpool.avgpool3d_backward(output, x.shape, 2)
    return output, back, fastpool.sumpool3d(x, (2, 2, 2))


@pytest.mark.whole
@pytest.mark.parametrize("function", [lines, volumes])
def test_other_numbers_of_axes(function):
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 8))
    for _ in range(2):
        for found, right in zip(function(x), function.py_func(x), strict=True):
            assert_same(found, right)


def test_further_calls_need_no_python(answers_in_python):
    """Where one kernel answers; exact averages of large integers take several passes."""
    x = np.random.default_rng(0).standard_normal((2, 3, 14, 15)).astype(np.float32)
    window = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)
    right = average.py_func(x, *window, False, True, None)
    back = gradient.py_func(right, x.shape, *window, False, True, 1)
    for _ in range(4):
        assert_same(average(x, *window, False, True, None), right)
        assert_same(average(x, *window, False, True, 4), right)
        assert_same(total(x, *window, False), right * 4)
        assert_same(gradient(right, x.shape, *window, False, True, 1), back)
    assert len(answers_in_python) == 4
    large = np.full((1, 1, 4, 4), 2**62, np.int64)
    for _ in range(3):
        found = average_as_it_was(large, *window, False, True, None)
        assert_same(found, large[:, :, ::2, ::2].copy())
    assert len(answers_in_python) == 7


def test_results_of_other_dtypes(answers_in_python):
    """Named in every way that is known at compile time."""

    @numba.njit
    def averages(x):
        return (
            fastpool.avgpool2d(x, 2),
            fastpool.avgpool2d(x, 2, dtype=None),
            fastpool.avgpool2d(x, 2, dtype="float32"),
            fastpool.avgpool2d(x, 2, dtype=np.uint8),
            fastpool.avgpool2d(x, 2, dtype=np.dtype("int16")),
            fastpool.avgpool2d(x, 2, dtype=x.dtype),
            fastpool.sumpool2d(x, 2),
            fastpool.sumpool2d(x, 2, dtype=float),
        )

    x = np.random.default_rng(0).integers(0, 256, (8, 9), np.uint8)
    for _ in range(3):
        for found, right in zip(averages(x), averages.py_func(x), strict=True):
            assert_same(found, right)
    assert len(answers_in_python) == 6  # one for each result and dtype


def test_results_in_out(answers_in_python):
    @numba.njit
    def into(x, k, out):
        return fastpool.avgpool2d(x, k, out=out)

    x = np.random.default_rng(0).standard_normal((3, 8, 8))
    right = fastpool.avgpool2d(x, 2)
    for _ in range(3):
        out = np.zeros((3, 4, 8))[..., ::2]
        assert into(x, 2, out).ctypes.data == out.ctypes.data
        assert_same(out, right)
    assert len(answers_in_python) == 1
    for out in (np.zeros((3, 4, 5)), np.zeros((3, 4, 4), np.float32), x[:, :4, :4], 7):
        assert isinstance(assert_agree(into, x, 2, out), tuple)


class TestErrors:
    X = np.ones((1, 1, 4, 4))

    def test_run_time_values(self):
        """Also after a call that was right."""
        window = 2, 2, 0, 1
        assert_agree(average, self.X, *window, False, True, 4)
        for padded, divisor in (
            (True, 0), (True, 2**62), (True, np.uint64(2**64 - 1)), (True, 2.0), (True, True),
            (1, None), (None, None),
        ):  # fmt: skip
            assert isinstance(assert_agree(average, self.X, *window, False, padded, divisor), tuple)
        assert assert_agree(average, self.X, 9, 2, 0, 1, False, True, None)[0] is ValueError
        assert assert_agree(total, self.X, 2, 2, 2, 1, False)[0] is ValueError
        assert assert_agree(total, self.X.astype(complex), *window, False)[0] is TypeError
        whole = np.ones((1, 1, 2, 2), int)
        found = assert_agree(gradient, whole, (1, 1, 4, 4), *window, False, True, None)
        assert found[0] is TypeError
        found = assert_agree(gradient, self.X, (1, 1, 4, 4), *window, False, True, None)
        assert found[0] is ValueError

    def test_what_must_be_known_at_compile_time(self):
        @numba.njit
        def typed(x, dtype):
            return fastpool.avgpool2d(x, 2, dtype=dtype)

        @numba.njit
        def laid_out(x, layout):
            return fastpool.sumpool2d(x, 2, layout=layout)

        @numba.njit
        def elsewhere(x):
            return fastpool.avgpool2d_backward(x, (1, 1, 8, 8), 2, backend="numpy")

        @numba.njit
        def half(x):
            return fastpool.avgpool2d(x, 2, dtype="float16")

        @numba.njit
        def wrong(x):
            return fastpool.avgpool2d(x, 2, dtype=np.int32)

        with pytest.raises(TypeError, match="dtype must be a constant in jitted code"):
            typed(self.X, "float32")
        with pytest.raises(TypeError, match="layout must be a constant in jitted code"):
            laid_out(self.X, "NCHW")
        with pytest.raises(ValueError, match="backend must be one of"):
            elsewhere(self.X)
        with pytest.raises(TypeError, match="no 16-bit floats"):
            half(self.X)
        with pytest.raises(TypeError, match="avgpool2d: dtype int32 cannot hold"):
            wrong(self.X)
        with pytest.raises(TypeError, match="x must be an array in jitted code, got int64"):
            total(3, 2, 2, 0, 1, False)
        assert_agree(typed, self.X, None)
        assert_agree(typed, self.X, np.dtype("float32"))

    def test_empty(self):
        for shape in ((0, 3, 7, 8), (2, 0, 7, 8)):
            check_all(np.zeros(shape, np.float32), (2, 2, 0, 1), False)


@pytest.mark.whole
def test_threads():
    """Without the lock of Python, and from the first call on."""

    @numba.njit(nogil=True)
    def pool(x, k):
        return fastpool.avgpool2d(x, k, 1)

    x = np.random.default_rng(0).standard_normal((3, 33, 31))
    expected = {k: fastpool.avgpool2d(x, k, 1) for k in range(1, 11)}
    wrong, start = [], threading.Barrier(4)

    def work(first):
        start.wait()
        for turn in range(40):
            k = 1 + (first + turn) % 10
            if pool(x, k).tobytes() != expected[k].tobytes():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


CACHED = """
import json, sys
import numpy as np
sys.path.insert(0, {folder!r})
import fastpool.interop.jitted
from user import pool
x = np.random.default_rng(0).integers(0, 256, (2, 9, 9), np.uint8)
for _ in range(3):
    for found, dtype in zip(pool(x, 3, 2), (None, "uint8")):
        assert found.tobytes() == fastpool.avgpool2d(x, 3, 2, dtype=dtype).tobytes()
from fastpool.interop.jitted import notes
print(json.dumps([sum(pool.stats.cache_hits.values()), len(notes._notes)]))
"""


@pytest.mark.whole
def test_functions_that_numba_caches(tmp_path):
    """Two results of one input, which only differ in their dtype, are told apart."""
    (tmp_path / "user.py").write_text(
        "import numba, fastpool\n"
        "@numba.njit(cache=True)\n"
        "def pool(x, k, s):\n"
        "    return fastpool.avgpool2d(x, k, s), fastpool.avgpool2d(x, k, s, dtype='uint8')\n"
    )
    code = CACHED.format(folder=str(tmp_path))
    assert json.loads(process.run(code)) == [0, 2]
    assert json.loads(process.run(code)) == [1, 2]
