"""Every example of the docstrings and of the README gives what it shows."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

import fastpool
from fastpool import api, dispatch

README = Path(__file__).parent.parent / "README.md"
NAMES = {"np": np, "fastpool": fastpool}


@pytest.mark.parametrize("module", [api, dispatch], ids=lambda module: module.__name__)
def test_docstrings(module):
    result = doctest.testmod(module, extraglobs=NAMES, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 1
    assert result.failed == 0


def test_public_functions_are_documented():
    for name in fastpool.__all__:
        if not name.startswith("__"):
            assert getattr(fastpool, name).__doc__, name


def assert_examples(text, more_than):
    """A document's examples, which are more than some number, give what they show."""
    test = doctest.DocTestParser().get_doctest(text, dict(NAMES), "README.md", None, 0)
    assert len(test.examples) > more_than
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test).failed == 0


@pytest.mark.skipif(not README.is_file(), reason="the README is not installed")
class TestReadme:
    @pytest.mark.numba
    def test_examples(self):
        parts = README.read_text().split("\n### ")
        text = parts[0] + "".join(part.partition("\n## ")[2] for part in parts[1:])
        assert_examples(text, more_than=20)

    @pytest.mark.numba
    @pytest.mark.parametrize("guest", ["PyTorch", "JAX", "Dask", "Your own jitted code"])
    def test_examples_with_guests(self, guest):
        for module in {"PyTorch": ["torch"], "JAX": ["jax"], "Dask": ["dask.array"]}.get(guest, []):
            pytest.importorskip(module)
        text = README.read_text().split(f"\n### {guest}\n")[1].partition("\n##")[0]
        assert_examples(text, more_than=2)

    def test_quick_start_is_two_commands(self):
        section = README.read_text().split("## Quick start")[1].split("\n## ")[0]
        blocks = re.findall(r"```\w*\n(.*?)\n```", section, re.DOTALL)
        assert len(blocks) == 2
        assert all("\n" not in block and "venv" in block for block in blocks)
        assert "fastpool demo" in blocks[0]
        assert "pytest" in blocks[1]
