"""The demo: what it prints, writes and returns, its levels, its network, its wrong gradients."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool.api import execute
from fastpool.cli import demo
from fastpool.cli.demo import digits, photograph
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
    assert "levels: bit-identical with both backends" in printed
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
    assert "levels: not compared" in printed
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


def test_levels(backend: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    exact = {
        "avgpool2d": lambda windows: np.rint(windows.mean(axis=(1, 3))).astype(np.uint8),
        "maxpool2d": lambda windows: windows.max(axis=(1, 3)),
        "minpool2d": lambda windows: windows.min(axis=(1, 3)),
    }
    for name, halve in photograph.HALVES.items():
        levels = photograph.pyramid(partial(halve, layout="NHWC", backend=backend), image)
        for level, before in zip(levels, [image, *levels[:-1]], strict=True):
            rows, columns, _ = level.shape
            assert_same(level, exact[name](before.reshape(rows, 2, columns, 2, 3)))
    assert levels[-1].shape == (2, 3, 3)


def test_the_plane_that_is_timed() -> None:
    green = np.arange(6, dtype=np.uint8).reshape(2, 3)
    plane = photograph.tiled(np.stack([green + 90, green, green + 180], axis=-1), 5)
    assert_same(plane, np.tile(green, (3, 2))[:5, :5])


@pytest.mark.parametrize("installed", [True, False])
def test_times(
    installed: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("PIL")
    if not installed:
        monkeypatch.setitem(sys.modules, "skimage.measure", None)
    else:
        pytest.importorskip("skimage")
    backends = {status.name for status in fastpool.available_backends() if status.available}
    monkeypatch.setattr(photograph, "ROUNDS", 1)
    times, agree = photograph.measure(np.arange(1024, dtype=np.uint8).reshape(32, 32))
    assert agree
    others = {"scikit-image"} if installed else set()
    assert times["avgpool2d"].keys() == backends | {"Pillow"} | others
    assert times["maxpool2d"].keys() == times["minpool2d"].keys() == backends | others
    photograph.show(times, agree)
    assert ("scikit-image" in capsys.readouterr().out) == installed


@pytest.mark.numba
def test_backends_that_differ_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL")
    wrong = {"numpy": fastpool.maxpool2d, "numba": fastpool.minpool2d}
    monkeypatch.setitem(
        photograph.HALVES, "minpool2d", lambda x, backend: wrong[backend](x, 2, backend=backend)
    )
    assert not photograph.measure(np.arange(1024, dtype=np.uint8).reshape(32, 32))[1]


@pytest.mark.parametrize("name", RECEIVED)
def test_backward_passes_are_what_they_are_called(name: str) -> None:
    x = np.array(TIED, np.float32).reshape(1, 4, 4, 1)
    grad_output = np.array([1, 10, 100, 1000], np.float32).reshape(1, 2, 2, 1)
    received = digits.PASSES[name](x, digits.pool(x), grad_output)
    np.testing.assert_array_equal(received.reshape(4, 4), RECEIVED[name])


@pytest.mark.whole
def test_gradient_against_central_differences(backend: str) -> None:
    rng = np.random.default_rng(0)
    images = np.zeros((6, 8, 8, 1))
    images[:, 2:7, 3:6] = rng.random((6, 5, 3, 1))  # on a flat ground, so that maxima tie
    drawn = images, rng.integers(0, 10, 6)
    parameters = digits.initialize(0).astype(np.float64)
    directions = rng.normal(size=(50, len(parameters)))
    # One layer at a time: steps in all of them would drown the small gradient of the first.
    ends = np.cumsum([(fan_in + 1) * fan_out for fan_in, fan_out in digits.LAYERS])
    for part, direction in enumerate(directions):
        layer = part % len(ends)
        direction[ends[layer] :] = 0
        direction[: ends[layer - 1] if layer else 0] = 0
    with fastpool.use_backend(backend):
        _, gradient = digits.loss_and_gradient(parameters, drawn)
        for direction in 1e-6 * directions:
            above, _ = digits.loss_and_gradient(parameters + direction, drawn)
            below, _ = digits.loss_and_gradient(parameters - direction, drawn)
            assert (above - below) / 2 == pytest.approx(direction @ gradient, rel=1e-5, abs=1e-13)
    assert gradient.dtype == np.float64
    assert gradient.shape == parameters.shape
