"""Signals where a handler's exception, at any line, would leave other libraries half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any


@contextmanager
def held_back() -> Iterator[None]:
    """Let the handlers of signals, as that of Ctrl-C, run after the block.

    Numba cannot be imported again after an import that was interrupted, and LLVM calls Python
    functions whose exceptions are lost, with what they should have stored.
    """
    # Only the main thread runs handlers, and only it may change them.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    caught: dict[int, FrameType | None] = {}
    try:
        for valid in signal.valid_signals():
            own = signal.getsignal(valid)
            if callable(own):
                handlers[valid] = own
                signal.signal(valid, caught.__setitem__)
        yield
    finally:
        with ExitStack() as after:  # calls all of them, even if one raises
            for number, handler in handlers.items():
                signal.signal(number, handler)
                if number in caught:
                    after.callback(handler, number, caught[number])
