"""``python -m fastpool``: info, check and wrong usage."""

import itertools
import sys

import numpy as np
import pytest

import fastpool
from fastpool.api import execute
from fastpool.cli import check, image_cases
from fastpool.cli.main import main
from fastpool.dispatch import defaults, table
from fastpool.rules.downsampling import BOUNDARIES, METHODS


@pytest.mark.numba
def test_info(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for row in ("fastpool", "Python", "NumPy", "backend numpy", "backend numba", "Numba"):
        assert row in text
    for row in ("default backend", "threads", "threading layer", "vectors of", "kernel cache"):
        assert row in text
    assert fastpool.__version__ in text
    assert np.__version__ in text


def test_info_of_a_broken_setting(monkeypatch, capsys):
    monkeypatch.setattr(defaults, "_environment", "cuda")
    monkeypatch.setitem(table._loaded, "numba", ImportError("no Numba for this Python"))
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert "environment variable FASTPOOL_BACKEND must be one of" in text
    assert "no Numba for this Python" in text


@pytest.mark.numba
@pytest.mark.whole
def test_check_passes(capsys):
    assert main(["check", "--cases", "30", "--seed", "3"]) == 0
    assert "30 of 30 cases agree bit for bit" in capsys.readouterr().out


def test_cases_have_any_number_of_axes():
    rng = np.random.default_rng(0)
    cases = [check.random_case(rng) for _ in range(200)]
    layouts = {case.arguments["layout"] for case in cases}
    assert layouts == {"NCW", "NWC", "NCHW", "NHWC", "NCDHW", "NDHWC"}
    assert {case.dimensions for case in cases} == {1, 2, 3}
    assert {case.member for case in cases} == set(check.MEMBERS) == {"max", "min"}
    for case in cases:
        assert len(case.geometry.axes) == case.dimensions == len(case.arguments["kernel_size"])
        assert case.geometry.input_shape == case.shape


@pytest.mark.whole
def test_check_sees_a_cell_that_differs(monkeypatch, capsys):
    """Every function's answer is compared, and with any number of axes."""
    numpy = table.load("numpy")

    class Wrong:
        reason = "wrong on purpose"

        def __init__(self, plan):
            self.plan = plan

        def run(self, inputs, outputs):
            offender = self.plan.run(inputs, outputs)
            for output in outputs:
                output.reshape(-1).view(np.uint8)[:1] ^= 1
            return offender

    class Backend:
        def answers(self, call):
            return True

        def plan(self, call, storages):
            return Wrong(numpy.plan(call, storages))

    monkeypatch.setitem(table._loaded, "numba", Backend())
    monkeypatch.setattr(execute, "_tasks", {})
    assert main(["check", "--cases", "3", "--seed", "3"]) == 1
    assert "0 of 3 cases agree" in capsys.readouterr().out
    rng, found = np.random.default_rng(0), ""
    for _ in range(200):
        found += "\n".join(check.check_case(rng, check.random_case(rng), np.dtype(np.int32)))
    for member, n in itertools.product(check.MEMBERS, (1, 2, 3)):
        pool = f"{member}pool{n}d"
        for part in (", output", ", indices", ", values only", "_backward"):
            assert f"{pool}{part}: " in found
        assert f"maxunpool{n}d: " in found
    for n, name in itertools.product((1, 2, 3), ("adaptive_maxpool", "modepool")):
        for part in ("output", "indices", "values only"):
            assert f"{name}{n}d, {part}: " in found
    found = "".join(
        "\n".join(check.check_case(rng, check.random_case(rng), np.dtype(np.float64)))
        for _ in range(60)
    )
    for n, name in itertools.product((1, 2, 3), ("avgpool", "lppool", "adaptive_avgpool")):
        assert f"{name}{n}d: " in found
        assert f"{name}{n}d_backward: " in found
    for n in (1, 2, 3):
        assert f"sumpool{n}d: " in found
        assert f"adaptive_maxpool{n}d_backward: " in found
    for name in image_cases.FILTERS:
        assert f"{name}, {{" in found
    for method in METHODS:
        # "stride" asks no backend, and the result of these is a view of bytes.
        assert f"'method': '{method}'" in found or method in ("stride", "any", "all")
    assert "downsample, mask, {" in found


def test_calls_on_images_are_of_every_kind():
    rng, seen = np.random.default_rng(0), set()
    x = rng.standard_normal((3, 40, 2, 9)).astype(np.float32)
    for _ in range(300):
        calls = image_cases.random_calls(rng)
        seen |= {calls.method, calls.boundary, calls.filter, *calls.missing, calls.axes}
        blocks, arguments = image_cases.block_arguments(rng, x, calls)
        assert isinstance(blocks, np.ma.MaskedArray) == ("mask" in calls.missing)
        assert len(arguments["axes"]) == len(arguments["factors"]) == calls.axes
        try:
            fastpool.downsample(blocks, **arguments, backend="numpy")
        except ValueError as refused:
            assert arguments["boundary"] == "exact", refused
        arguments = image_cases.filter_arguments(rng, x, calls)
        seen |= {name for name in arguments if name in ("size", "footprint")}
        found = getattr(fastpool, calls.filter)(x, **arguments, backend="numpy")
        assert found.shape == x.shape
    assert seen == {
        *METHODS, *BOUNDARIES, *image_cases.FILTERS, "skipna", "nodata", "mask", 1, 2, 3, "size",
        "footprint",
    }  # fmt: skip


@pytest.mark.numba
@pytest.mark.whole
def test_check_sees_a_broken_comparison(monkeypatch, capsys):
    """A backend whose ties go to the later tap agrees in values, not in indices."""
    from fastpool.backends.numpy import select

    def later_tap_wins(operation, best, taps, values, later):
        largest = operation.sign > 0
        reached = values >= best if largest else values <= best
        (np.maximum if largest else np.minimum)(best, values, out=best)
        np.maximum(taps, reached * later, out=taps)

    monkeypatch.setattr(select, "_update", later_tap_wins)
    assert main(["check", "--cases", "20"]) == 1
    text = capsys.readouterr().out
    assert "pool2d, indices" in text
    assert "20 of 20" not in text


@pytest.mark.numba
@pytest.mark.whole
def test_check_sees_a_missing_error(monkeypatch, capsys):
    """A backend that lets bad indices pass is told from one that does not."""
    from fastpool.backends.numpy import scatter

    scattering = scatter._scatter

    def silent(*arguments):
        scattering(*arguments)

    monkeypatch.setattr(scatter, "_scatter", silent)
    assert main(["check", "--cases", "40"]) == 1
    assert "IndexError" in capsys.readouterr().out


@pytest.mark.numba
@pytest.mark.whole
def test_check_without_ml_dtypes(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert main(["check", "--cases", "1"]) == 0
    assert "bfloat16 is left out" in capsys.readouterr().out


def test_check_without_numba(monkeypatch, capsys):
    monkeypatch.setitem(table._loaded, "numba", ImportError("no Numba for this Python"))
    assert main(["check"]) == 2
    assert "no Numba for this Python" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["dance"], ["check", "--cases", "0"]])
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m fastpool" in capsys.readouterr().err


@pytest.mark.parametrize("style", check.STYLES)
def test_adversarial_values_are_what_they_say(style):
    rng = np.random.default_rng(0)
    for name in ("float32", "float16", "int8", "bool"):
        values = check.adversarial(rng, (40, 50), np.dtype(name), style)
        assert values.dtype == name
        assert values.shape == (40, 50)
        if style == "nans" and name.startswith("float"):
            bits = values.view(f"u{values.itemsize}")[np.isnan(values)]
            assert 0 < np.isnan(values).sum() < values.size
            assert len(np.unique(bits)) > 100
        if style == "zeros" and name.startswith("float"):
            assert np.signbit(values[values == 0]).any()
            assert not np.signbit(values[values == 0]).all()


@pytest.mark.parametrize("memory", check.MEMORIES)
def test_memories_are_what_they_say(memory):
    rng = np.random.default_rng(0)
    array = rng.standard_normal((3, 4, 5))
    other = check.in_memory(rng, array, memory)
    if memory == "broadcast":
        assert other.strides[0] == 0
        array = np.broadcast_to(array[:1], array.shape)
    assert (other == array).all()
    assert {
        "contiguous": other.flags.c_contiguous,
        "fortran": other.flags.f_contiguous,
        "reversed": max(other.strides) < 0,
        "strided": other.strides[-1] == 16,
        "cropped": other.strides[-1] == 8 and not other.flags.c_contiguous,
        "swapped": not other.dtype.isnative,
        "unaligned": not other.flags.aligned,
        "read-only": not other.flags.writeable,
        "broadcast": not other.flags.writeable,
        "record": other.strides[-1] == 11,
    }[memory]
