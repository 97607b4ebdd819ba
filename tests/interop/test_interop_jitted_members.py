"""Adaptive pooling, norms and modes inside the user's own jitted functions."""

import inspect

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool.cli import check
from fastpool.rules.members import FUNCTIONS

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.numba

import fastpool.interop.jitted  # noqa: E402  (it needs Numba)
from fastpool.interop.jitted import answer as answering  # noqa: E402

# By how many windows there are: that divide the cells; that do not; more than cells; all; none.
SIZES = ((7, 5), (5, 4), (20, 16), (14, 3), (0, 3))


@numba.njit
def maximum(x, size):
    return fastpool.adaptive_maxpool2d(x, size)


@numba.njit
def maximum_and_indices(x, size):
    return fastpool.adaptive_maxpool2d(x, size, True)


@numba.njit
def routed(g, indices, shape, size):
    return fastpool.adaptive_maxpool2d_backward(g, indices, shape, size)


@numba.njit
def average(x, size):
    return fastpool.adaptive_avgpool2d(x, size)


@numba.njit
def average_as_it_was(x, size):
    return fastpool.adaptive_avgpool2d(x, size, dtype=x.dtype)


@numba.njit
def spread(g, shape, size):
    return fastpool.adaptive_avgpool2d_backward(g, shape, size)


@numba.njit
def norm(x, p, k, s, c, padding, d):
    return fastpool.lppool2d(x, p, k, s, c, padding=padding, dilation=d)


@numba.njit
def norm_gradient(g, x, p, k, s, c, padding, d):
    return fastpool.lppool2d_backward(g, x, p, k, s, c, padding=padding, dilation=d)


def outcome(function, *arguments):
    """The arrays that a function returns, or the type and the text of its error."""
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
        elif isinstance(expected[0], np.ndarray):
            for each, right in zip(found, expected, strict=True):
                assert_same(each, right, any_nan=True)
        else:
            assert found == expected
    return expected


def values(shape, dtype="float32", style="ties", seed=0):
    return check.adversarial(np.random.default_rng(seed), shape, np.dtype(dtype), style)


@pytest.fixture
def answers_in_python(monkeypatch):
    """A list that grows with the calls that Python answers."""
    calls, answer = [], answering.answer_in_python

    def counted(*arguments):
        calls.append(arguments)
        return answer(*arguments)

    monkeypatch.setattr(answering, "answer_in_python", counted)
    return calls


def check_adaptive(x, size):
    assert_agree(maximum, x, size)
    output, indices = assert_agree(maximum_and_indices, x, size)
    assert_agree(average, x, size)
    if x.dtype.kind != "b":
        assert_agree(average_as_it_was, x, size)
    g = values(output.shape, x.dtype, "random", 1)
    assert_agree(routed, g, indices, x.shape, size)
    if x.dtype.kind == "f":
        assert_agree(spread, g, x.shape, size)


def test_adaptive_windows():
    x = values((2, 14, 15), style="nans")
    for size in SIZES:
        check_adaptive(x, size)
    check_adaptive(values((0, 14, 15)), SIZES[1])
    assert_agree(maximum, x, 3)
    assert_agree(maximum_and_indices, x, (None, 3))


@pytest.mark.whole
@pytest.mark.parametrize("dtype", ["float64", "int8", "uint64", "bool"])
def test_adaptive_windows_of_every_dtype(dtype):
    x = values((2, 14, 30), dtype, "random")
    for size in (SIZES[0], SIZES[1], (1, 2)):
        check_adaptive(x, size)
    check_adaptive(x[:, ::-1, ::2], SIZES[1])


def test_further_calls_need_no_python(answers_in_python):
    """Where one kernel answers; indices of windows that are not alike are checked in Python."""
    x = values((3, 14, 15), style="random")
    indices = fastpool.adaptive_maxpool2d(x, (7, 5), True).indices
    for _ in range(4):
        maximum(x, (5, 4))
        maximum_and_indices(x, (5, 4))
        average(x, (5, 4))
        maximum(x, (7, 5))
        routed(x[:, :7, :5].copy(), indices, x.shape, (7, 5))
    assert len(answers_in_python) == 5
    assert_same(maximum(x, (4, 5)), fastpool.adaptive_maxpool2d(x, (4, 5)))
    assert len(answers_in_python) == 6
    norm(x, 2, 2, 2, False, 0, 1)
    norm(x, 2, 2, 2, False, 0, 1)
    assert len(answers_in_python) == 8


def check_norms(dtype, p, *window):
    x = values((2, 9, 14), dtype, "random")
    output = assert_agree(norm, x, p, *window)
    g = values(output.shape, "float32", "random", 1)
    assert_agree(norm_gradient, g, x, p, *window)


def test_norms():
    check_norms("float32", np.inf, (3, 2), (1, 2), True, ((1, 0), (1, 1)), (1, 2))


@pytest.mark.whole
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool"])
def test_norms_of_every_dtype(dtype):
    check_norms(dtype, 2, 2, None, False, 0, 1)
    check_norms(dtype, 3.0, 2, 1, False, "same", 1)


@numba.njit
def lines(x, labels):
    output, indices = fastpool.adaptive_maxpool1d(x, 3, True, layout="NWC")
    return (
        output,
        fastpool.adaptive_maxpool1d_backward(output, indices, x.shape, 3, layout="NWC"),
        fastpool.adaptive_avgpool1d(x, 4, layout="NWC"),
        fastpool.adaptive_avgpool1d_backward(output, x.shape, 3, layout="NWC"),
        fastpool.lppool1d(x, 2, 3, layout="NWC"),
        fastpool.modepool1d(labels, 3, layout="NWC"),
    )


@numba.njit
def volumes(x, labels):
    output, indices = fastpool.adaptive_maxpool3d(x, (2, 3, None), True)
    return (
        output,
        fastpool.adaptive_maxpool3d_backward(output, indices, x.shape, (2, 3, None)),
        fastpool.adaptive_avgpool3d(x, 2),
        fastpool.adaptive_avgpool3d_backward(output, x.shape, (2, 3, None)),
        fastpool.lppool3d(x, np.inf, 2),
        fastpool.modepool3d(labels, 2),
    )


@pytest.mark.whole
@pytest.mark.parametrize(("function", "shape"), [(lines, (2, 14, 3)), (volumes, (2, 4, 5, 4))])
def test_other_numbers_of_axes(function, shape):
    x, labels = values(shape, "float64"), values(shape, "uint8")
    for _ in range(2):
        for found, right in zip(function(x, labels), function.py_func(x, labels), strict=True):
            assert_same(found, right)


def test_results_in_out():
    @numba.njit
    def into(x, size, out):
        return fastpool.adaptive_avgpool2d(x, size, out=out)

    @numba.njit
    def norms_into(x, out):
        return fastpool.lppool2d(x, 2, 2, out=out)

    x = values((3, 9, 8), "float64")
    out = np.zeros((3, 4, 6))[..., ::2]
    for _ in range(2):
        assert into(x, (4, 3), out).ctypes.data == out.ctypes.data
        assert_same(out, fastpool.adaptive_avgpool2d(x, (4, 3)))
    for wrong in (np.zeros((3, 4, 4)), np.zeros((3, 4, 3), np.float32), x[:, :4, :3]):
        assert isinstance(assert_agree(into, x, (4, 3), wrong), tuple)
    out = np.zeros((3, 4, 4))
    assert norms_into(x, out).ctypes.data == out.ctypes.data
    assert_same(out, fastpool.lppool2d(x, 2, 2))


class TestErrors:
    X = np.ones((2, 6, 7))

    def test_run_time_values(self):
        """Also after a call that was right."""
        assert_agree(maximum, self.X, 2)
        for size in (-1, 2.0, (1, 2, 3), 2**63 - 1, (2, -1)):
            found = assert_agree(maximum, self.X, size)
            assert found[0] in (ValueError, TypeError, MemoryError)
            assert found[1].startswith("adaptive_maxpool2d: ")
        for p in (0, -1, 1.5, np.nan):
            found = assert_agree(norm, self.X, p, 2, 2, False, 0, 1)
            assert found[1].startswith("lppool2d: norm_type must be")
        assert assert_agree(norm, self.X, 2, 9, 2, False, 0, 1)[0] is ValueError
        assert assert_agree(maximum, self.X.astype(complex), 2)[0] is TypeError
        assert assert_agree(spread, np.ones((2, 3, 3), int), (2, 6, 7), 3)[0] is TypeError
        assert assert_agree(spread, self.X, (2, 6, 7), 3)[0] is ValueError
        found = assert_agree(norm_gradient, self.X, self.X, 2, 2, 2, False, 0, 1)
        assert found[0] is ValueError

    def test_bad_indices(self):
        """In windows that are alike, and in others: checked in every call."""
        for size in ((3, 7), (4, 3)):
            output, indices = fastpool.adaptive_maxpool2d(self.X, size, True)
            assert_agree(routed, output, indices, self.X.shape, size)
            for bad in (-1, 42, 41):
                wrong = indices.copy()
                wrong[1, 0, 1] = bad
                found = assert_agree(routed, output, wrong, self.X.shape, size)
                assert found[0] is IndexError
                assert f"indices[1, 0, 1] = {bad}" in found[1]

    def test_what_must_be_known_at_compile_time(self):
        @numba.njit
        def flagged(x, wanted):
            return fastpool.adaptive_maxpool2d(x, 2, wanted)

        @numba.njit
        def half(x):
            return fastpool.adaptive_avgpool2d(x, 2, dtype="float16")

        @numba.njit
        def elsewhere(x):
            return fastpool.lppool2d(x, 2, 2, backend="numpy")

        with pytest.raises(TypeError, match="return_indices must be a constant in jitted code"):
            flagged(self.X, True)
        with pytest.raises(TypeError, match="no 16-bit floats"):
            half(self.X)
        with pytest.raises(ValueError, match="backend must be one of"):
            elsewhere(self.X)
        with pytest.raises(TypeError, match="x must be an array in jitted code, got int64"):
            maximum(3, 2)
        with pytest.raises(TypeError, match="pass tuples for lists"):
            maximum(self.X, [2, 2])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_there(name):
    """With the arguments that it has in Python, in their order."""
    from numba.core.registry import cpu_target

    cpu_target.typing_context.refresh()
    kind = cpu_target.typing_context.resolve_value_type(getattr(fastpool, name))
    (template,) = kind.templates
    found = inspect.signature(template._overload_func).parameters
    assert list(found) == list(inspect.signature(getattr(fastpool, name)).parameters)
