"""Every function at once, and processes that cannot hang, for code that runs in a child.

Whoever imports this ends with the tracebacks of all threads when it has run for too long, and
so does whoever it forks: a lock that nobody can release is then a failure that says where.
"""

import faulthandler
import os
import sys
import threading
import traceback
from contextvars import ContextVar
from unittest import mock

import numpy as np
import spying

import fastpool

# A compilation of everything takes 12 s of one core, and some tests make eight processes do it.
SECONDS = int(os.environ.get("EVERYTHING_SECONDS", "150"))


def _watch():
    faulthandler.dump_traceback_later(SECONDS, exit=True)


def _end(error):
    """An error that Python can only print, as one in a hook of fork, ends the process too."""
    traceback.print_exception(error.exc_type, error.exc_value, error.exc_traceback)
    os._exit(1)


_watch()
sys.unraisablehook = _end
if hasattr(os, "register_at_fork"):
    # Its thread is not there in a child, which would wait for it.
    os.register_at_fork(
        before=faulthandler.cancel_dump_traceback_later,
        after_in_parent=_watch,
        after_in_child=_watch,
    )

WINDOW = (3, 2, 1)
# As many cells as the slowest threading layer wants before it starts threads.
X = np.random.default_rng(0).integers(-99, 99, (8, 256, 256)).astype(np.float32)


def answers(backend, x=X):
    """The bytes of all that can be asked about an array."""
    size = x.shape[-2:]
    values = fastpool.maxpool2d(x, *WINDOW, backend=backend)
    options = {"return_indices": True, "backend": backend}
    output, flat = fastpool.maxpool2d(x, *WINDOW, **options)
    same, taps = fastpool.maxpool2d(x, *WINDOW, **options, index_format="window")
    arguments = (output, flat, x.shape, *WINDOW)
    found = {
        "values": values,
        "output": output,
        "flat": flat,
        "output beside window": same,
        "window": taps,
        "backward": fastpool.maxpool2d_backward(*arguments, backend=backend),
        "unpool": fastpool.maxunpool2d(output, flat, *WINDOW, size, backend=backend),
        "average": fastpool.avgpool2d(x, *WINDOW, backend=backend),
        "its gradient": fastpool.avgpool2d_backward(values, x.shape, *WINDOW, backend=backend),
        "adaptive": fastpool.adaptive_avgpool2d(x, 7, backend=backend),
    }
    return {name: (array.dtype, array.tobytes()) for name, array in found.items()}


EXPECTED = answers("numpy")


# The backend of the last call made in this thread or task, where `spy` looks.
used = ContextVar("used")


def check(backend="numba"):
    """All answers are those of the NumPy backend, to the bit; True, for who counts."""
    # The memory of results may still hold those of an earlier check, which were right.
    foul = [np.full(len(content), 85, np.uint8) for _, content in EXPECTED.values()]
    del foul
    found = answers(backend)
    wrong = [name for name, answer in found.items() if answer != EXPECTED[name]]
    assert not wrong, wrong
    return True


def check_in_parallel():
    """Also: every function starts threads, on the layer that the environment names."""
    fastpool.available_backends()  # imports it as every user's call does
    from fastpool.backends.numba.compile import launch as launching

    with mock.patch.object(launching, "_run_parallel", wraps=launching._run_parallel) as launch:
        check()
    assert launch.call_count >= 5, launch.call_count
    assert launching.threading_layer() == os.environ["NUMBA_THREADING_LAYER"]


def pool_beside():
    """A thread that pools; the events that it has, and that it may end.

    A thread that ends may hold a lock of the C library's unwinder, which no child can ever take
    (seen with libgcc and GNU OpenMP's threads): it waits for the last fork.
    """

    def pool():
        check_in_parallel()
        pooled.set()
        forked.wait()

    pooled, forked = threading.Event(), threading.Event()
    thread = threading.Thread(target=pool)
    thread.start()
    return thread, pooled, forked


def spy():
    """Make `used` say, in each thread and task, the backend that its last call took."""
    spying.spy(used.set)


def fork(work=check):
    """Do the work in a forked child, which ends with it; its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def wait(*children):
    """All children end, and none with an error."""
    statuses = [os.waitpid(child, 0)[1] for child in children]
    assert statuses == [0] * len(children), statuses
