"""Advice for large new memory: to the system, and of nothing that lies beside it."""

import ctypes
import errno

import numpy as np
import pytest

from fastpool.process import huge_pages
from fastpool.process.huge_pages import LARGE, PAGE


@pytest.fixture
def asked(monkeypatch):
    """What the system is asked for."""
    calls = []
    advise = lambda *arguments: calls.append([getattr(a, "value", a) for a in arguments])  # noqa: E731
    monkeypatch.setattr(huge_pages, "madvise", lambda: advise)
    return calls


def test_whole_pages(asked):
    huge_pages.ask(10 * PAGE + 64, 5 * PAGE)
    huge_pages.ask(10 * PAGE, 5 * PAGE)
    huge_pages.ask(10 * PAGE + 1, LARGE)
    assert asked == [
        [11 * PAGE, 4 * PAGE, 14],
        [10 * PAGE, 5 * PAGE, 14],
        [11 * PAGE, PAGE, 14],
    ]


def test_little(asked):
    huge_pages.ask(10 * PAGE, LARGE - 1)
    huge_pages.ask(0, 0)
    assert asked == []


def test_systems_without_it(monkeypatch):
    monkeypatch.setattr(huge_pages, "madvise", lambda: None)
    huge_pages.ask(10 * PAGE, LARGE)


def test_the_systems_own_function():
    """It takes the advice, or has no such pages; and cells keep their values."""
    x = np.arange(LARGE, dtype=np.uint64)
    expected = x.copy()
    huge_pages.ask(x.ctypes.data, x.nbytes)
    advise = huge_pages.madvise()
    if advise is not None:
        library = ctypes.PyDLL(None, use_errno=True)
        first = -(-x.ctypes.data // PAGE) * PAGE
        found = library.madvise(ctypes.c_void_p(first), ctypes.c_size_t(PAGE), huge_pages.ADVICE)
        assert found == 0 or ctypes.get_errno() == errno.EINVAL
    np.testing.assert_array_equal(x, expected)
