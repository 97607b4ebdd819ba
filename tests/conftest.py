"""Fixtures and Hypothesis profiles.

``pytest --hypothesis-profile=large`` runs the property tests 50 times as long.
"""

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "small", max_examples=100, deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile("large", max_examples=5000, deadline=None, print_blob=True)
hypothesis.settings.load_profile("small")


@pytest.fixture(params=["numpy", "numba"], scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """Every test that takes this runs once on each backend."""
    return str(request.param)
