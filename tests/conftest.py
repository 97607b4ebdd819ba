"""Fixtures, Hypothesis profiles, and what happens to tests where Numba is not installed.

``pytest --hypothesis-profile=large`` runs the property tests 50 times as long.
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
