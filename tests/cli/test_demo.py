"""The demo: what it prints, writes and returns, its network, and its two wrong gradients."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import fastpool
from fastpool.api import execute
from fastpool.cli import demo
from fastpool.cli.main import main
from fastpool.dispatch import table

# Three maxima tie in the window at the top left.
TIED = [[5, 5, 0, 0], [5, 0, 0, 0], [0, 0, 0, 3], [0, 0, 0, 7]]
RECEIVED = {
    "exact": [[1, 10, 0, 0], [100, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1000]],
    "whole window": [
        [1, 11, 10, 10],
        [101, 1111, 1010, 1010],
        [100, 1100, 1000, 1000],
        [100, 1100, 1000, 1000],
    ],
    "tied cells": [[1, 11, 0, 0], [101, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1000]],
}


@pytest.mark.numba
@pytest.mark.whole
def test_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("matplotlib.image")
    pytest.importorskip("sklearn")
    picture = tmp_path / "demo.png"
    assert main(["demo", "--output", str(picture), "--epochs", "2"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert image.imread(picture).var() > 0
    printed = capsys.readouterr().out
    assert "test accuracy" in printed
    assert "weights: bit-identical in both runs" in printed
    assert str(picture) in printed


@pytest.mark.whole
def test_run_without_numba(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    monkeypatch.setattr(execute, "_tasks", {})  # which keeps the plans of calls made before
    monkeypatch.setitem(table._loaded, "numba", ImportError("no Numba for this Python"))
    assert demo.run(str(tmp_path / "demo.png"), epochs=1) == 0
    printed = capsys.readouterr().out
    assert "no Numba for this Python" in printed
    assert "weights: not compared" in printed
    assert "bit-identical" not in printed


@pytest.mark.parametrize("module", ["matplotlib.figure", "sklearn.datasets"])
def test_run_without_an_optional_package(
    module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    monkeypatch.setitem(sys.modules, module, None)
    assert demo.run("never-written.png") == 2
    message = capsys.readouterr().err
    assert module in message
    assert 'pip install "fastpool[demo]"' in message


@pytest.mark.parametrize("name", ["no-such-folder/demo.png", "demo.no-such-format"])
def test_run_refuses_a_bad_path_before_training(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    assert demo.run(str(tmp_path / name)) == 2
    printed, message = capsys.readouterr()
    assert printed == ""
    assert "cannot be written" in message


@pytest.mark.parametrize("name", RECEIVED)
def test_backward_passes_are_what_they_are_called(name: str) -> None:
    x = np.array(TIED, np.float32).reshape(1, 4, 4, 1)
    grad_output = np.array([1, 10, 100, 1000], np.float32).reshape(1, 2, 2, 1)
    received = demo.PASSES[name](x, demo.pool(x), grad_output)
    np.testing.assert_array_equal(received.reshape(4, 4), RECEIVED[name])


@pytest.mark.whole
def test_gradient_against_central_differences(backend: str) -> None:
    rng = np.random.default_rng(0)
    images = np.zeros((6, 8, 8, 1))
    images[:, 2:7, 3:6] = rng.random((6, 5, 3, 1))  # on a flat ground, so that maxima tie
    digits = images, rng.integers(0, 10, 6)
    parameters = demo.initialize(0).astype(np.float64)
    directions = rng.normal(size=(50, len(parameters)))
    # One layer at a time: steps in all of them would drown the small gradient of the first.
    ends = np.cumsum([(fan_in + 1) * fan_out for fan_in, fan_out in demo.LAYERS])
    for part, direction in enumerate(directions):
        layer = part % len(ends)
        direction[ends[layer] :] = 0
        direction[: ends[layer - 1] if layer else 0] = 0
    with fastpool.use_backend(backend):
        _, gradient = demo.loss_and_gradient(parameters, digits)
        for direction in 1e-6 * directions:
            above, _ = demo.loss_and_gradient(parameters + direction, digits)
            below, _ = demo.loss_and_gradient(parameters - direction, digits)
            assert (above - below) / 2 == pytest.approx(direction @ gradient, rel=1e-5, abs=1e-13)
    assert gradient.dtype == np.float64
    assert gradient.shape == parameters.shape
