"""The simulated panel, made once."""

import pytest
from support.evaluation_panels import simulate_panel


@pytest.fixture(scope="session")
def panel():
    return simulate_panel()
