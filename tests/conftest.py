"""Two sizes of the suite, Hypothesis profiles, and what happens where Numba is not installed.

``pytest`` runs the quick tests, ``pytest --whole`` all of them, and
``pytest --whole --hypothesis-profile=large`` the property tests 50 times as long.
"""

from importlib.util import find_spec

import hypothesis
import pytest

import fastpool

hypothesis.settings.register_profile(
    "small", max_examples=100, deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile("large", max_examples=5000, deadline=None, print_blob=True)
hypothesis.settings.load_profile("small")


LEFT_OUT = (
    "quick tests: every function, dtype and backend; left out are most geometries of the compiled "
    "kernels, random searches with the Numba backend, and tests of processes, disks, memory and "
    "benchmarks; --whole runs all"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option for all that takes long, nearly all of it compilation."""
    parser.addoption("--whole", action="store_true", help="run the whole suite")


def pytest_report_header(config: pytest.Config) -> str:
    """What the run leaves out."""
    return "the whole suite" if config.getoption("--whole") else LEFT_OUT


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked "whole", unless all are asked for."""
    if config.getoption("--whole"):
        return
    left_out = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _is_left_out(item: pytest.Item) -> bool:
    """Whether a test is marked "whole", for its backend if the mark names one."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return any(
        mark.kwargs.get("backend") in (None, parameters.get("backend"))
        for mark in item.iter_markers("whole")
    )


# Not whether it works: a Numba that is installed and broken is a failure, no reason to skip.
NUMBA_IS_INSTALLED = find_spec("numba") is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests marked "numba" where there is none."""
    if not NUMBA_IS_INSTALLED and item.get_closest_marker("numba"):
        pytest.skip("Numba is not installed")


@pytest.fixture(autouse=True, scope="session")
def warned_once() -> None:
    """Hear the one warning of "auto" without Numba; a second one would be a test's failure."""
    if not NUMBA_IS_INSTALLED:
        with pytest.warns(RuntimeWarning, match="NumPy answers instead"):
            fastpool.maxpool2d([[1, 2]], (1, 2), backend="auto")


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.numba)], scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """Every test that takes this runs once on each backend."""
    return str(request.param)
