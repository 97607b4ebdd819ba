"""Ctrl-C while Numba is imported, while it compiles, and in long calls: the process goes on."""

import signal

import pytest
from process import run

pytest.importorskip("numba")

pytestmark = pytest.mark.whole

# Every KeyboardInterrupt is raised to the caller, and after it all is as if it had never been.
CODE = """
    import os, signal, sys, threading, time
    import numpy as np, fastpool

    # A shell lets what it starts in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def press():
        os.kill(os.getpid(), signal.SIGINT)

    def pool(x, backend="numba"):
        results = fastpool.maxpool2d(x, 3, 2, 1, return_indices=True, backend=backend)
        gradient = fastpool.maxpool2d_backward(*results, x.shape, 3, 2, 1, backend=backend)
        return [array.tobytes() for array in (*results, gradient)]

    def interrupted(x):
        try:
            pool(x)
        except KeyboardInterrupt:
            return True
        return False

    x = np.random.default_rng(0).integers(0, 9, (4, 150, 150)).astype(np.float32)
    expected = pool(x, "numpy")
"""


def check(code, **environment):
    code = CODE + code + '\n    assert pool(x) == expected\n    print("right")'
    assert run(code, **environment).endswith("right")


@pytest.mark.parametrize(
    "module", ["numba.core.config", "numba.core.types", "numba.core.pylowering"]
)
def test_while_numba_is_imported(module):
    check(f"""
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "{module}":
                sys.meta_path.remove(self)
                press()
    sys.meta_path.insert(0, Finder())
    assert interrupted(x)
    """)


def test_while_it_compiles(tmp_path):
    """At the start of every function, and where LLVM hands over what it made."""
    code = """
    import llvmlite.binding as llvm
    from fastpool.backends.numba.compile import jit
    from fastpool.backends.numba.compile import disk
    load, count = disk.KernelCache.load_overload, 0
    def load_overload(*arguments):
        press()
        return load(*arguments)
    disk.KernelCache.load_overload = load_overload
    from numba.core.codegen import CPUCodeLibrary
    store = CPUCodeLibrary._object_compiled_hook.__func__
    def hook(cls, *arguments):
        press()
        store(cls, *arguments)
    CPUCodeLibrary._object_compiled_hook = classmethod(hook)
    while interrupted(x):
        count += 1
        assert count < 100
    assert count == jit.compiled_functions()
    """
    check(code, NUMBA_CACHE_DIR=str(tmp_path))


def test_an_error_of_a_handler_is_no_error_of_the_compiler(tmp_path):
    """It reaches the caller as it is, and with no lock held."""
    code = """
    from fastpool.backends.numba.compile import jit
    from fastpool.backends.numba.compile import disk

    def raises(number, frame):
        free.append(not jit._compiling._is_owned())
        raise ZeroDivisionError

    def load_overload(*arguments):
        press()
        return load(*arguments)

    free, load = [], disk.KernelCache.load_overload
    disk.KernelCache.load_overload = load_overload
    signal.signal(signal.SIGINT, raises)
    try:
        pool(x)
    except ZeroDivisionError:
        pass
    assert free == [True]
    disk.KernelCache.load_overload = load
    """
    check(code, NUMBA_CACHE_DIR=str(tmp_path))


def test_in_a_long_call():
    """The kernel ends first; its result is lost, nothing else."""
    check("""
    large = np.broadcast_to(np.float32(1), (64, 2000, 2000))
    out = np.empty((64, 999, 999), np.float32)
    fastpool.maxpool2d(large, 3, 2, out=out, backend="numba")
    pressing = threading.Timer(0.05, press)
    try:
        pressing.start()
        while True:
            fastpool.maxpool2d(large, 3, 2, out=out, backend="numba")
    except KeyboardInterrupt:
        pass
    assert (out == 1).all()
    """)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no such signals on this system")
def test_handlers_are_the_callers():
    """Each is called once, even if another raises, and all stay; none is put where none was."""
    check("""
    from fastpool.process.interrupts import held_back

    def raises(number, frame):
        calls.append(number)
        raise ZeroDivisionError

    calls, numbers = [], (signal.SIGINT, signal.SIGALRM, signal.SIGTERM)
    for number in numbers:
        signal.signal(number, raises)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_back():
            for number in (*numbers, *numbers, signal.SIGHUP):
                signal.raise_signal(number)
            assert not calls
    except ZeroDivisionError:
        pass
    assert sorted(calls) == sorted(numbers)
    assert all(signal.getsignal(number) is raises for number in numbers)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    """)
