"""Arrays between pages of memory that are no one's: to touch one ends the process."""

import ctypes
import mmap
import sys

import numpy as np
import pytest


@pytest.fixture
def between_protected_pages():
    """An array whose first and last byte are the first and last before memory that is no one's."""
    if not sys.platform.startswith("linux"):
        pytest.skip("mprotect as Linux has it")
    library, page, held = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE, []

    def make(array, at_the_end):
        size = -(-array.nbytes // page) * page
        memory = mmap.mmap(-1, size + 2 * page)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for guard in (address, address + page + size):
            assert library.mprotect(ctypes.c_void_p(guard), page, 0) == 0
        start = page + (size - array.nbytes if at_the_end else 0)
        held.append((memory, address, size))
        guarded = np.frombuffer(memory, array.dtype, array.size, start).reshape(array.shape)
        guarded[...] = array
        return guarded

    yield make
    for _, address, size in held:
        for guard in (address, address + page + size):
            library.mprotect(ctypes.c_void_p(guard), page, mmap.PROT_READ | mmap.PROT_WRITE)
