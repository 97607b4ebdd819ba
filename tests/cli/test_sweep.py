"""``python -m fastpool bench --sweep`` and ``--sizes``: what is chosen, kept, printed and drawn."""

import sys

import numpy as np
import pytest

from fastpool.cli.bench import measure, peers, sizes, sweep, tables
from fastpool.cli.main import main

pytestmark = [pytest.mark.numba, pytest.mark.whole]  # it is what is measured


@pytest.fixture
def few(monkeypatch):
    """A few cells, with the NumPy backend in the place of torch, which need not be there."""
    monkeypatch.setattr(measure, "TURN", 0)
    monkeypatch.setitem(peers.CONTENDERS, "torch", peers.fastpool_numpy)
    monkeypatch.setattr(sweep, "SIZES", {"in cache": 2**10, "beyond": 2**12})
    monkeypatch.setattr(sweep, "WIDTHS", (7, 100))
    for name in ("KERNELS", "STRIDES"):
        monkeypatch.setattr(sweep, name, (2,))
    monkeypatch.setattr(sweep, "DILATIONS", (1, 2))
    monkeypatch.setattr(sweep, "SMALL", 0)


def test_cells_of_the_sweep():
    cells = sweep.problems()
    assert len(cells) == len(set(cells)) > 4000
    for cell in cells:
        assert cell.padding in (0, cell.kernel // 2)
        assert min(cell.output_shape) > 0
        size = sweep.SIZES[sweep.size_of(cell)]
        assert 0.9 * size < np.prod(cell.shape) <= size
        for panel in sweep.panels():
            row, column = panel.place(cell)
            assert row in panel.rows
            assert column in panel.columns
    assert {cell.shape[3] for cell in cells} == set(sweep.WIDTHS)


def test_a_larger_sample_goes_on_where_a_smaller_one_ended():
    smaller = sweep.chosen(10, 1)
    assert sweep.chosen(30, 1)[:10] == smaller
    assert sweep.chosen(10, 2) != smaller
    assert set(sweep.chosen(10**6, 1)) == set(sweep.problems())


def test_sweep(few, tmp_path, capsys):
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "sweep.png"
    assert main(["bench", "--sweep", "--rounds", "1", "--plot", str(path)]) == 0
    text = capsys.readouterr().out
    whole = len(sweep.problems())
    assert f"{whole} of {whole} cells measured" in text
    for each in sweep.MEASURES:
        worst = text.split(f"The worst: {each.label}")[1].split("\n\n")[1].splitlines()
        assert len(worst) == 2 + min(tables.WORST, whole)
        ratios = [float(line.split("|")[2]) for line in worst[2:]]
        assert ratios == sorted(ratios)
    for row in ("s2 d1", "s2 d2", "beyond, p k // 2"):
        assert text.count(f"| {row} ") == 2
    assert image.imread(path).var() > 0


def test_sweep_measures_no_cell_twice(few, monkeypatch, tmp_path, capsys):
    file = tmp_path / "cells"
    arguments = ["bench", "--sweep", "--rounds", "1", "--results", str(file), "--seed", "5"]
    assert main([*arguments, "--sample", "2"]) == 0
    assert "2 of 2 cells measured" in capsys.readouterr().out
    assert main([*arguments, "--sample", "5"]) == 0
    text = capsys.readouterr().out
    assert "3 of 3 cells measured" in text
    assert f"5 of {len(sweep.problems())} cells; " in text
    found = sweep.read(file)
    assert list(found) == sweep.chosen(5, 5)
    monkeypatch.setattr(measure, "measure", None)
    assert sweep.measure_cells(sweep.chosen(5, 5), 1, 1, file) == found


def test_small_calls_are_left_out(few, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "SMALL", 1e9)
    assert main(["bench", "--sweep", "--rounds", "1", "--sample", "2"]) == 0
    text = capsys.readouterr().out
    assert text.count("0 below") == 2
    assert sweep.problems()[0].window not in text.split("Cells")[1]


def test_sweep_without_torch(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["bench", "--sweep"]) == 2
    assert "torch" in capsys.readouterr().err


def test_sizes(monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(measure, "TURN", 0)
    monkeypatch.setattr(sizes, "SIZES", (2**14, 2**20))
    path = tmp_path / "sizes.svg"
    assert main(["bench", "--sizes", "--rounds", "1", "--plot", str(path)]) == 0
    text = capsys.readouterr().out
    assert "| 16 KB |" in text
    assert "|  1 MB |" in text or "| 1 MB  |" in text
    assert "<svg" in path.read_text()
    assert sizes.name_of(2**30) == "1 GB"
