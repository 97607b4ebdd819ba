"""Time until a fresh process is ready, and until it has its first result.

Each sample is a process of its own, timed from the import on, without the start of the
interpreter.
"""

import os
import subprocess
import sys
import tempfile

import fastpool

# Data that are distinct and soon made, for they are timed too; an image large enough to be
# split between threads.
FIRST_RESULT = """
import numpy as np, fastpool
x = np.arange(3 * 224 * 224, dtype=np.float32).reshape(3, 224, 224)
fastpool.maxpool2d(x, 2, backend={backend!r})
"""


class Import:
    """The price of the import alone; that of NumPy is a part of it."""

    number = 1

    def timeraw_import_numpy(self):
        """What fastpool cannot go below."""
        return "import numpy"

    def timeraw_import_fastpool(self):
        """No backend is loaded, nor Numba imported."""
        return "import fastpool"

    def timeraw_import_after_numpy(self):
        """What fastpool adds: 6 ms, or 15 where no bytecode can be written."""
        return "import fastpool", "import numpy"


class FirstResult:
    """Import and one call where no Numba is needed: "auto" is what a user gets."""

    params = (["numpy", "auto"],)
    param_names = ("backend",)
    number = 1

    def timeraw_first_result(self, backend):
        """Import, and one call on a small image."""
        return FIRST_RESULT.format(backend=backend)


class FirstNumbaResultCold:
    """Import and one call with Numba and an empty cache: everything is compiled."""

    number = 1
    repeat = 3
    rounds = 1
    warmup_time = 0

    def setup(self):
        _require_numba()

    def timeraw_first_result(self):
        """Import of Numba too, compilation, and one call on a small image."""
        empty_cache = """
import atexit, os, shutil, tempfile
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()
atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"])
"""
        return FIRST_RESULT.format(backend="numba"), empty_cache


class FirstNumbaResultCached:
    """Import and one call with Numba and a cache that an earlier process has filled."""

    number = 1

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()  # first, for asv's teardown after a skip
        _require_numba()
        subprocess.run(
            [sys.executable, "-c", FIRST_RESULT.format(backend="numba")],
            env={**os.environ, "NUMBA_CACHE_DIR": self.folder.name},
            check=True,
        )

    def teardown(self):
        self.folder.cleanup()

    def timeraw_first_result(self):
        """Import of Numba too, loading of the kernels, and one call on a small image."""
        full_cache = f"import os; os.environ['NUMBA_CACHE_DIR'] = {self.folder.name!r}"
        return FIRST_RESULT.format(backend="numba"), full_cache


def _require_numba():
    for name, available, reason in fastpool.available_backends():
        if name == "numba" and not available:
            raise NotImplementedError(reason)
