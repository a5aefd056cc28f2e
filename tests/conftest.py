"""Fixtures that all tests share: the reference data, the embedded data set, a tiny world."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# A process for each core: threads within one would wait for those of the other. To be set before
# the libraries are loaded; what a test starts inherits it.
if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("OPENBLAS", "OMP", "MKL", "NUMBA"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from support.known import make_known_fit
from support.reference_files import REFERENCE_FILES
from support.tiny import make_coverage, make_tiny_frames
from threadpoolctl import threadpool_limits

from forecast.inference.fit import Fit
from forecast.panel.build import load_panel
from forecast.panel.types import Panel
from forecast.panel.world import build_world
from forecast.sources.embedded import load_tables, tables_from_frames
from forecast.sources.tables import Coverage, Tables

if "PYTEST_XDIST_WORKER" in os.environ:
    threadpool_limits(1)  # of what a plugin of pytest has loaded before

# A test never sees what the user of this machine keeps as their own amendments of the data.
os.environ["FORECAST_AMENDMENTS"] = "0"

ROOT = Path(__file__).resolve().parent.parent

#: Files that take longest, begun first, so that no process is left alone with one at the end.
SLOWEST = (
    "test_run",
    "test_crash_points",
    "test_writers",
    "test_notebooks",
    "test_backtest_resume",
    "test_nuts",
    "test_split",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first; the order within a file stays."""
    items.sort(key=lambda item: SLOWEST.index(item.path.stem) if item.path.stem in SLOWEST else 99)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What campaigns tried and found: ``record_property("campaign", …)``."""
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.getreports(kind)]
    for report in reports:
        for name, told in report.user_properties:
            if name == "campaign":
                terminalreporter.write_line(told)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of real reference data, which is never part of the repository."""
    given = Path(os.environ.get("FORECAST_REFERENCE", "../shared/reference"))
    folder = given if given.is_absolute() else ROOT / given
    if not folder.is_dir():
        message = f"no reference data in {folder} (set FORECAST_REFERENCE to its folder)"
        if os.environ.get("FORECAST_REQUIRE_ALL"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def historical_cache(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache folder with every source of which the reference folder holds files."""
    from forecast.sources.catalogue import add

    cache = tmp_path_factory.mktemp("historical-cache")
    for source, names in REFERENCE_FILES.items():
        add(source, [reference / name for name in names], cache=cache)
    return cache


@pytest.fixture(scope="session")
def historical(historical_cache: Path) -> Tables:
    """The historical data set, from 1816, as put together from the reference files."""
    from forecast.sources.historical import load_historical

    return load_historical(cache=historical_cache)


@pytest.fixture(scope="session")
def tables() -> Tables:
    """The embedded data set."""
    return load_tables()


@pytest.fixture(scope="session")
def known_fit(tables: Tables) -> Fit:
    """Fit of politically relevant pairs, embedded data of 1990 to 2025, with made-up draws."""
    return make_known_fit(
        load_panel(data=tables, population="politically_relevant", years=(1990, 2025))
    )


@pytest.fixture
def tiny_frames() -> dict[str, pd.DataFrame]:
    """The seven tables of the tiny world as frames, a fresh copy for each test."""
    return make_tiny_frames()


@pytest.fixture
def tiny_coverage() -> dict[str, Coverage]:
    """Coverage of the tiny world, 1990 to 2010."""
    return make_coverage()


@pytest.fixture(scope="session")
def tiny_tables() -> Tables:
    """The tiny world as checked tables."""
    return tables_from_frames(make_tiny_frames(), coverage=make_coverage(), name="tiny")


@pytest.fixture(scope="session")
def tiny_world(tiny_tables: Tables) -> xr.Dataset:
    """The tiny world as dense arrays, 1990 to 2010."""
    return build_world(tiny_tables)


@pytest.fixture(scope="session")
def tiny_panel(tiny_tables: Tables) -> Panel:
    """Politically relevant dyad-years of the tiny world, 1991 to 2010."""
    return load_panel(data=tiny_tables, population="politically_relevant")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers with a fixed seed."""
    return np.random.default_rng(20260101)
