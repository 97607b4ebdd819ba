"""Ctrl-C where an exception at any line would leave other libraries half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Let a Ctrl-C take effect after the block.

    Numba cannot be imported again after an import that was interrupted, and LLVM calls Python
    functions whose exceptions are lost, with what they should have stored.
    """
    handler = signal.getsignal(signal.SIGINT)
    # Only the main thread runs handlers, and only it may change them.
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = []
    signal.signal(signal.SIGINT, lambda *arguments: caught.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if caught:
            handler(*caught[-1])
