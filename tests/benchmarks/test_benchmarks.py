"""Every benchmark runs once at its smallest size, so that none can rot.

asv is not needed: it finds benchmarks by their names and calls them as is done here.
"""

import importlib
import importlib.util
import inspect
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

import fastpool
from fastpool.cli.bench import measure

pytestmark = pytest.mark.whole

FOLDER = Path(__file__).parents[2] / "benchmarks"
if not (FOLDER / "asv.conf.json").is_file():
    pytest.skip("the benchmarks are not installed with the package", allow_module_level=True)

KINDS = {"time", "timeraw", "track", "peakmem"}
HOOKS = {"setup", "teardown"}
FUNCTIONS = {
    "forward": "maxpool2d",
    "minimum": "minpool2d",
    "backward": "maxpool2d_backward",
    "unpool": "maxunpool2d",
}


def load_suite():
    """The modules of the suite, imported by their path."""
    spec = importlib.util.spec_from_file_location(
        "benchmarks", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    sys.modules["benchmarks"] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    names = sorted(path.stem for path in FOLDER.glob("bench_*.py"))
    return [importlib.import_module(f"benchmarks.{name}") for name in names]


def public(owner, predicate):
    """The public members of `owner` that a module or class may lend to asv."""
    return {
        name: member
        for name, member in inspect.getmembers(owner, predicate)
        if not name.startswith("_")
    }


SUITE = load_suite()
COMMON = sys.modules["benchmarks.common"]
CASES = COMMON.CASES
RECORDED = {*FUNCTIONS.values(), *COMMON.FAMILY, *COMMON.GRADIENTS}
SCENARIOS = [member for module in SUITE for member in public(module, inspect.isclass).values()]
BENCHMARKS = [
    (scenario, name)
    for scenario in SCENARIOS
    for name in public(scenario, inspect.isfunction)
    if name not in HOOKS
]


def label(value):
    if inspect.isclass(value):
        return f"{value.__module__.split('.')[-1]}.{value.__name__}"
    return "-".join(map(str, value)).replace(" ", "_") if isinstance(value, tuple) else value


def parameters(scenario):
    """The values of every parameter of `scenario`, by name."""
    names = getattr(scenario, "param_names", ())
    return dict(zip(names, getattr(scenario, "params", ()), strict=True))


def smallest(scenario):
    """All combinations of parameters with the first case, or the like, which is the smallest."""
    sizes = {"case", "pooling", "size"}
    return itertools.product(
        *(values[:1] if name in sizes else values for name, values in parameters(scenario).items())
    )


def test_conf_is_about_this_checkout():
    lines = (FOLDER / "asv.conf.json").read_text().splitlines()
    conf = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    assert conf["project"] == "fastpool"
    assert (FOLDER / conf["benchmark_dir"]).samefile(FOLDER)
    assert (FOLDER / conf["repo"] / "pyproject.toml").is_file()


def test_discovery():
    assert len(SUITE) >= 5
    assert len(BENCHMARKS) >= 16
    assert {name.split("_")[0] for _, name in BENCHMARKS} == KINDS
    for module in SUITE:
        functions = public(module, inspect.isfunction).values()
        own = [each for each in functions if each.__module__ == module.__name__]
        assert own == [], "every benchmark belongs to a class"
    for scenario in SCENARIOS:
        assert scenario.__module__.startswith("benchmarks.bench_"), "asv would find it twice"


@pytest.mark.parametrize(("scenario", "name"), BENCHMARKS, ids=label)
def test_says_what_it_measures(scenario, name):
    assert scenario.__doc__
    assert getattr(scenario, name).__doc__


@pytest.mark.parametrize(
    "scenario", [each for each in SCENARIOS if "case" in parameters(each)], ids=label
)
def test_first_case_is_the_smallest(scenario):
    cells = [math.prod(CASES[case].shape) for case in parameters(scenario)["case"]]
    assert cells[0] == min(cells)


@pytest.fixture(scope="module")
def called():
    """The names of the public functions in the order in which they are called."""
    names = []

    def recorder(name, function):
        def recorded(*args, **kwargs):
            names.append(name)
            return function(*args, **kwargs)

        return recorded

    with pytest.MonkeyPatch.context() as patch:
        for name in RECORDED:
            patch.setattr(fastpool, name, recorder(name, getattr(fastpool, name)))
        yield names


@pytest.mark.parametrize(
    ("scenario", "name", "params"),
    [(*benchmark, params) for benchmark in BENCHMARKS for params in smallest(benchmark[0])],
    ids=label,
)
def test_runs_once_at_its_smallest_size(scenario, name, params, called, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(fastpool.__file__).parent.parent))
    monkeypatch.setattr(measure, "TURN", 0)  # one call in each of a ratio's rounds
    benchmark = scenario()
    kind, subject = name.split("_")[:2]
    try:
        if hasattr(benchmark, "setup"):
            try:
                benchmark.setup(*params)
            except NotImplementedError as absent:
                pytest.skip(str(absent))
        called.clear()
        result = getattr(benchmark, name)(*params)
        if "interop" in scenario.__module__:
            pass  # an adapter calls fastpool by names of its own
        elif subject == "ratio":  # of many calls of one function to those of another
            assert called
            assert set(called) == set(called[:1])
        elif subject == "member":
            assert called == [dict(zip(scenario.param_names, params, strict=True))["function"]]
        else:
            assert called == ([FUNCTIONS[subject]] if subject in FUNCTIONS else [])
        if kind == "track":
            assert math.isfinite(result)
            assert result > 0
        elif kind == "timeraw":
            statement, setup = result if isinstance(result, tuple) else (result, "")
            subprocess.run([sys.executable, "-c", f"{setup}\n{statement}"], check=True)
        else:
            assert result is None
    finally:
        if hasattr(benchmark, "teardown"):
            benchmark.teardown(*params)
