"""The logger: silent until it is asked, and then it says which backend and kernel, and why."""

import logging
import platform

import numpy as np
import pytest
from process import run

import fastpool
from fastpool.api import execute


@pytest.fixture
def heard(caplog, monkeypatch):
    """What is logged at any level, of calls that are all new."""
    monkeypatch.setattr(execute, "_tasks", {})
    caplog.set_level(logging.DEBUG, "fastpool")
    return caplog


@pytest.mark.numba  # without it "auto" warns once
def test_silent_by_default():
    code = """
    import sys, contextlib, io
    import numpy as np, fastpool
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard):
        fastpool.maxpool2d(np.ones((4, 4)), 2, backend="numpy")
        fastpool.maxpool2d(np.ones((4, 4)), 2)
    print(repr(heard.getvalue()))
    """
    assert run(code) == "''"


def test_the_backend(heard):
    fastpool.maxpool2d(np.ones((3, 4, 4)), 2, backend="numpy")
    fastpool.maxpool2d(np.ones((3, 4, 4)), 2, backend="numpy")
    (text,) = heard.messages  # of calls of one kind, once
    assert text.startswith("maxpool2d of (3, 4, 4) float64: backend numpy")


@pytest.mark.numba
def test_the_kernel_and_why(heard):
    x = np.ones((2, 9, 40), np.float32)
    output, indices = fastpool.maxpool2d(x, 2, return_indices=True, backend="numba")
    fastpool.maxpool2d_backward(output, indices, x.shape, 2, backend="numba")
    texts = [text for text in heard.messages if text.startswith("maxpool2d")]
    assert "backend numba, direct_rows: all taps of a window in registers" in texts[0]
    assert "backend numba, gather_rows: each cell looks whether its window names it" in texts[1]


@pytest.mark.numba
def test_what_was_compiled_and_how_long(tmp_path):
    code = """
    import logging, sys
    import numpy as np, fastpool
    logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
    logging.getLogger("fastpool").setLevel(logging.INFO)
    fastpool.maxpool2d(np.ones((4, 40)), 2, backend="numba")
    """
    first = run(code, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()
    assert any(line.startswith("fastpool INFO direct_rows compiled in ") for line in first)
    second = run(code, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()
    assert any(line.startswith("fastpool INFO direct_rows loaded from disk in ") for line in second)
    assert len(first) == len(second)


@pytest.mark.numba
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86-64 processors")
@pytest.mark.parametrize(("name", "bits"), [("haswell", 256), ("x86-64", 128), ("generic", 128)])
def test_info_describes_the_processor_of_the_kernels(name, bits):
    """Also where LLVM is told no features, as of a processor that the environment names."""
    code = "from fastpool.cli.main import main; main(['info'])"
    text = run(code, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="")
    (line,) = (line for line in text.splitlines() if line.startswith("processor"))
    assert line.split()[1].rstrip(",") == name
    assert f"vectors of {bits} bits" in line
