"""``python -m fastpool bench``: that contenders agree, what it prints and draws; no times."""

import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from fastpool.api import execute
from fastpool.cli.bench import family, measure, overhead, peers, problems, tables
from fastpool.cli.bench.problems import Contender, Problem
from fastpool.cli.main import main
from fastpool.dispatch import table

pytestmark = [pytest.mark.numba, pytest.mark.whole]  # it is what is measured

# Windows that overlap, tile, cover a whole row, and have gaps; odd sizes and even kernels.
PROBLEMS = [
    Problem((2, 3, 12, 15), 3, 2, 1),
    Problem((2, 3, 12, 14), 2, 2),
    Problem((2, 4, 11, 13), 3, 1, 1),
    Problem((1, 4, 9, 9), 4, 1, 1),
    Problem((1, 2, 9, 12), 9, 1, 4),
    Problem((2, 3, 16, 15), 3, 2, 1, 2),
    Problem((2, 3, 13, 15), 2, 2, dtype="uint8"),
]
CASES = "ABCDEFK"
# The family, by what is done by whom besides the backends and the copy.
AVERAGES = {("avgpool2d", "values"), ("avgpool1d", "values"), ("avgpool3d", "values")}
BLOCKS = AVERAGES | {
    ("adaptive_avgpool2d", "values"),
    ("maxpool3d", "values"),
    ("minpool2d", "values"),
    ("sumpool2d", "values"),
}
MEANS = AVERAGES | {("adaptive_avgpool2d", "values")}
DONE = {
    "torch": BLOCKS
    | {
        *product(("avgpool2d", "adaptive_avgpool2d"), ("channels-last", "backward")),
        *product(["adaptive_maxpool2d"], ("flat", "backward")),
        *product(["lppool2d"], ("values", "backward")),
        ("avgpool3d", "backward"),
        *product(["maxpool2d"], ("values", "flat", "backward")),
        *product(["maxpool3d"], ("flat", "backward")),
        ("minpool2d", "flat"),
    },
    "ONNX Runtime": MEANS
    | {
        ("adaptive_maxpool2d", "flat"),
        ("lppool2d", "values"),
        *product(("maxpool2d", "maxpool3d"), ("values", "flat")),
    },
    "OpenCV": {*product(("avgpool2d", "maxpool2d", "minpool2d"), ["values"])},
    "Pillow": {("avgpool2d", "values")},
    "SciPy": {*product(("avgpool1d", "avgpool2d", "maxpool2d", "minpool2d"), ["values"])},
    "slices": BLOCKS - {("adaptive_avgpool2d", "values")},
    "reshape": BLOCKS,
    "scikit-image": BLOCKS,
    "local mean": MEANS,
}
# Who is not measured beside maxpool2d.
NO_MAXIMA = {"Pillow", "tinybrain"}
MODULES = (
    "cv2",
    "jax",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "openvino",
    "PIL",
    "scipy",
    "skimage",
    "tinybrain",
    "torch",
)


@pytest.fixture
def small(monkeypatch):
    """A command that has little to measure, and calls everything once a round."""
    monkeypatch.setattr(measure, "TURN", 0)
    monkeypatch.setattr(measure, "TINY_CALLS", 2)
    monkeypatch.setattr(measure, "KERNEL_SHAPE", (1, 1, 8, 9))
    for case, problem in zip(CASES, PROBLEMS, strict=True):
        monkeypatch.setitem(measure.CASES, case, problem)
    for case in "GHIJ":
        monkeypatch.delitem(measure.CASES, case)


def shrunk(problem):
    """A small problem of the same windows, which tile if those of the large one do."""
    limit = 28 if problem.windows else 12 if problem.kernel <= 4 else 40
    planes = [min(size, 3) for size in problem.shape[:2]]
    shape = (*planes, *(min(size, limit) for size in problem.shape[2:]))
    if problem.windows:
        return problems.adaptive(problem.member, shape, problem.windows)
    return replace(problem, shape=shape)


FAMILY = {
    name: {shrunk(problem): tasks for problem, tasks in cases.items()}
    for name, cases in family.PARTS.items()
}


@pytest.fixture
def alone(monkeypatch):
    """An environment without any of the other libraries."""
    for modules in peers.PEERS.values():
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)


def skip_without(name):
    """Skip a test where the library of a contender is not installed."""
    library = "scikit-image" if name == peers.LOCAL_MEAN else name
    if library in peers.PEERS:
        try:
            peers.peer_version(library)
        except NotImplementedError as reason:
            pytest.skip(str(reason))


@pytest.mark.parametrize("task", problems.TASKS)
@pytest.mark.parametrize("name", peers.CONTENDERS)
def test_contender_computes_what_the_numpy_backend_does(name, task):
    done = 0
    skip_without(name)
    for problem in PROBLEMS:
        try:
            contender = peers.CONTENDERS[name](problem, task, 1)
        except NotImplementedError as reason:
            assert name in str(reason)
            continue
        contender.call()
        if name != peers.COPY:
            expected = problem.expected(task)
            for output, right in zip(contender.outputs, expected, strict=True):
                np.testing.assert_array_equal(output, right)
        done += 1
    tasks = {
        "torch": {"values", "flat", "channels-last", "backward"},
        "ONNX Runtime": {"values", "flat"},
        "OpenVINO": {"values"},
        "JAX": {"values", "backward"},
        "scikit-image": {"values"},
        "SciPy": {"values"},
        "OpenCV": {"values"},
        "slices": {"values"},
        "reshape": {"values"},
        "local mean": set(),
        "Pillow": set(),
    }
    assert (done > 0) == (task in tasks.get(name, problems.TASKS))


@pytest.mark.parametrize("name", family.PEERS)
def test_peers_of_the_family_compute_what_the_numpy_backend_does(name):
    skip_without(name)
    done = set()
    for cases in FAMILY.values():
        for problem, tasks in cases.items():
            for task in tasks:
                try:
                    contender = peers.CONTENDERS[name](problem, task, 1)
                except NotImplementedError as reason:
                    assert name in str(reason)
                    continue
                contender.call()
                expected = problem.expected(task)
                assert measure.same(contender.outputs, expected, contender.tolerance), problem
                done.add((problem.function, task))
    assert done == DONE[name]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_same_is_as_strict_as_the_tolerance(dtype):
    right = np.array([[1, 2], [255, 0]], dtype)
    assert measure.same([right], [right.copy()])
    assert not measure.same([right], [right, right])
    assert not measure.same([right[:1]], [right], 1)
    assert not measure.same([right[0]], [right], 1), "a row is no matrix"
    near = right.copy()
    near[0, 1] += 1
    assert not measure.same([near], [right])
    assert not measure.same([near], [right], 0.1)
    assert measure.same([near], [right], 1)
    far = right.copy()
    far[1] = 0, 255  # bytes would be near if they wrapped around
    assert not measure.same([far], [right], 1)
    if dtype == "float32":
        far[1] = 255, np.nan
        assert not measure.same([far], [right], 1)


def test_traffic_of_the_family():
    for cases in FAMILY.values():
        for problem, tasks in cases.items():
            for task in tasks:
                arrays = [*problem.expected(task)]
                if task == "backward":
                    arrays.append(problem.grad_output)
                    if problem.picks:
                        arrays.append(problem.expected("flat")[1])
                if task != "backward" or problem.member == problems.NORM:
                    arrays.append(problem.x)
                assert problem.traffic(task) == sum(a.nbytes for a in arrays), (problem, task)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_traffic_is_the_bytes_of_the_arrays(dtype):
    problem = Problem((2, 3, 12, 15), 3, 2, 1, dtype=dtype)
    for task in ("values", "flat", "window", "channels-last"):
        outputs = problem.expected(task)
        assert problem.traffic(task) == sum(a.nbytes for a in (problem.x, *outputs))
    if dtype == "float32":
        arrays = (*problem.expected("flat"), *problem.expected("backward"))
        assert problem.traffic("backward") == sum(a.nbytes for a in arrays)


def test_everyone_has_a_turn_in_every_round(monkeypatch):
    monkeypatch.setattr(measure, "TURN", 0)
    called = []
    calls = {name: lambda name=name: called.append(name) for name in "abc"}
    least = measure.interleaved(calls, rounds=5)
    assert list(least) == list("abc")
    assert all(0 < seconds < 1 for seconds in least.values())
    rounds = ["".join(called[first : first + 3]) for first in range(0, 15, 3)]
    assert len(called) == 15
    assert all(sorted(each) == list("abc") for each in rounds)
    assert len(set(rounds)) > 1, "nobody always follows the same one"


def test_slow_calls_have_fewer_turns(monkeypatch):
    monkeypatch.setattr(measure, "TURN", 0)
    monkeypatch.setattr(measure, "SLOW", 0)
    called = []
    measure.interleaved({"slow": lambda: called.append(0)}, rounds=9)
    assert len(called) == measure.SLOW_ROUNDS


def test_command(small, capsys):
    assert main(["bench", "--rounds", "1", "--threads", "1"]) == 0
    text = capsys.readouterr().out
    assert "1 thread\n" in text
    for case, problem in zip(CASES, PROBLEMS, strict=True):
        assert f"| {case} {problem} " in text
    for row in ("F: fastpool", "W: copy", "F, NHWC: fastpool", "backward: NumPy backend"):
        assert f"| {row} " in text
    for what in (overhead.VALUES, overhead.INDICES, overhead.BACKWARD, overhead.UNPOOL):
        for name in ("fastpool", "NumPy backend", "fastpool without out="):
            assert f"| {what}: {name} " in text
        assert (f"| {what}: torch " in text) == (", torch " in text)
    for label in ("W: limit", "backward: limit", "F: NumPy backend", "Overhead", "Kernel size"):
        assert label in text
    for name in peers.PEERS:
        told = (f", {name} " in text) != (f"\nwithout {name}: " in text)
        assert told == (name not in NO_MAXIMA)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith(" |") for line in tables)


def test_command_without_other_libraries(small, alone, capsys):
    assert main(["bench", "--rounds", "1", "--cases", "A", "C", "overhead"]) == 0
    text = capsys.readouterr().out
    for name in {*peers.PEERS} - NO_MAXIMA:
        assert f"\nwithout {name}: " in text
    shares = text.split("the share of the limit")[1].split("Milliseconds")[0]
    assert "F: NumPy backend" in shares
    assert "torch" not in shares
    assert "kernels" not in text
    assert f"| B {PROBLEMS[1]} " not in text


def test_family(small, monkeypatch, capsys):
    for name, cases in FAMILY.items():
        monkeypatch.setitem(family.PARTS, name, cases)
    assert main(["bench", "--family", "--rounds", "1", "--threads", "1"]) == 0
    text = capsys.readouterr().out
    tasks = {"values": "V", "flat": "F", "channels-last": "NHWC", "backward": "backward"}
    for name, cases in FAMILY.items():
        assert text.count(f"\n{name}: measured in ") == 1
        for problem in cases:
            for task in cases[problem]:
                row = f"| {problem.function} {problem.shape} {problem.window}, {tasks[task]} "
                again = problem.tiled and (problem.function, task) in BLOCKS
                assert text.count(row) == 1 + again, "blocks have a row of the NumPy backend too"
    assert "OpenVINO" not in text
    assert all(line.endswith(" |") for line in text.splitlines() if line.startswith("|"))


def test_chosen_members_without_other_libraries(small, alone, monkeypatch, capsys):
    for name, cases in FAMILY.items():
        monkeypatch.setitem(family.PARTS, name, cases)
    assert main(["bench", "--family", "sum", "mode", "--rounds", "1"]) == 0
    text = capsys.readouterr().out
    for name in {*peers.PEERS} & {*family.PEERS}:
        assert f"\nwithout {name}: " in text
    assert "| sumpool2d " in text
    assert "| modepool2d " in text
    assert "| reshape " in text
    assert "| avgpool2d " not in text
    assert "torch" not in text.partition("\nsum: measured in ")[2]


def test_without_blocks_there_is_one_table(small, monkeypatch, capsys):
    monkeypatch.setitem(family.PARTS, "mode", FAMILY["mode"])
    assert main(["bench", "--family", "mode", "--rounds", "1"]) == 0
    text = capsys.readouterr().out
    assert text.count(" limit |") == 1
    assert "The NumPy backend: " not in text


@pytest.mark.parametrize("arguments", [["median"], ["sum", "--sizes"], ["sum", "--sweep"]])
def test_bad_family(arguments, capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--family", *arguments])
    assert "--family" in capsys.readouterr().err


def test_family_has_no_picture(tmp_path, capsys):
    path = tmp_path / "family.png"
    assert main(["bench", "--family", "sum", "--plot", str(path)]) == 2
    assert "no picture" in capsys.readouterr().err
    assert not path.exists()


def test_family_fails_where_somebody_disagrees(small, monkeypatch, capsys):
    right = peers.CONTENDERS["reshape"]

    def wrong(*arguments):
        contender = right(*arguments)
        return contender._replace(outputs=(contender.outputs[0] + 1e-3,))

    for name, cases in FAMILY.items():
        monkeypatch.setitem(family.PARTS, name, cases)
    monkeypatch.setitem(peers.CONTENDERS, "reshape", wrong)
    assert main(["bench", "--family", "sum", "--rounds", "1"]) == 1
    assert "reshape and the NumPy backend disagree: sumpool2d (3, 3, 12, 12)" in (
        capsys.readouterr().err
    )


def test_command_without_numba(monkeypatch, capsys):
    monkeypatch.setattr(execute, "_tasks", {})  # which keeps the plans of calls made before
    monkeypatch.setitem(table._loaded, "numba", ImportError("no Numba for this Python"))
    assert main(["bench"]) == 2
    assert "no Numba for this Python" in capsys.readouterr().err


def test_command_with_more_threads_than_there_are(capsys):
    assert main(["bench", "--threads", "1000000"]) == 2
    assert "number of threads" in capsys.readouterr().err


@pytest.mark.parametrize("task", [problems.VALUES, problems.FLAT, problems.BACKWARD])
def test_command_fails_where_a_contender_disagrees(task, small, monkeypatch, capsys):
    right = peers.CONTENDERS[peers.NUMPY]

    def wrong(problem, asked, threads):
        call, outputs, *_ = right(problem, asked, threads)
        if asked != task:
            return Contender(call, outputs)
        *others, last = outputs
        last = last.copy()
        last[-1, -1, -1, -1] += 1
        return Contender(call, (*others, last))

    monkeypatch.setitem(peers.CONTENDERS, peers.FASTPOOL, wrong)
    assert main(["bench", "--rounds", "1", "--cases", "A"]) == 1
    out, err = capsys.readouterr()
    assert f"fastpool and the NumPy backend disagree: {PROBLEMS[0]}, {task}" in err
    assert "Milliseconds" not in out


@pytest.mark.parametrize("what", ["values", "indices", "backward", "unpool"])
def test_overhead_fails_where_somebody_disagrees(what, small, monkeypatch, capsys):
    right = overhead.by_fastpool

    def wrong(problem, backend):
        calls = right(problem, backend)
        if backend == "numba":
            last = overhead.results(calls[what]())[-1] + 1
            calls[what] = lambda out=None: last
        return calls

    monkeypatch.setattr(overhead, "by_fastpool", wrong)
    assert main(["bench", "--rounds", "1", "--cases", "overhead"]) == 1
    assert f"fastpool and the NumPy backend disagree: {measure.TINY}, {what}" in (
        capsys.readouterr().err
    )


def test_command_fails_where_a_contender_has_too_few_outputs(small, monkeypatch):
    right = peers.CONTENDERS[peers.FASTPOOL]

    def lacking(*arguments):
        return Contender(right(*arguments).call)

    monkeypatch.setitem(peers.CONTENDERS, peers.FASTPOOL, lacking)
    assert main(["bench", "--rounds", "1", "--cases", "A"]) == 1


@pytest.mark.parametrize("cases", ["A B C D E F kernels", "B", "kernels", "overhead"])
def test_picture(cases, small, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "speed.png"
    arguments = ["bench", "--rounds", "1", "--plot", str(path), "--cases", *cases.split()]
    assert main(arguments) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert image.imread(path).shape[:2] == (900, 1400)
    assert image.imread(path).var() > 0


def test_bad_path_is_known_before_the_measurement(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["bench", "--plot", str(tmp_path / "none" / "speed.png")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "bench cannot run" in err


def test_picture_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["bench", "--plot", "never-written.png"]) == 2
    assert "matplotlib" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.04, "0.0x"), (1.25, "1.2x"), (9.96, "10x"), (400.4, "400x"), (None, "")]
)
def test_multiple(ratio, text):
    assert tables.multiple(ratio) == text


@pytest.mark.parametrize("arguments", [[], ["bench", "--help"]], ids=["import", "help"])
def test_imports_no_other_library(arguments):
    code = f"""
import sys, contextlib
from fastpool.cli.main import main
with contextlib.suppress(SystemExit):
    main({arguments!r}) if {arguments!r} else None
print("loaded:", *(name for name in {("numba", *MODULES)!r} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded:\n")
