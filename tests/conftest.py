"""Fixtures that all tests share: the reference data, the embedded data set, a tiny world."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from known import make_known_fit
from tiny import make_coverage, make_tiny_frames

from forecast.inference.fit import Fit
from forecast.panel.build import load_panel
from forecast.panel.types import Panel
from forecast.panel.world import build_world
from forecast.sources.embedded import load_tables, tables_from_frames
from forecast.sources.tables import Coverage, Tables

ROOT = Path(__file__).resolve().parent.parent


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


#: Files of the reference folder for each source of the catalogue.
REFERENCE_FILES: dict[str, tuple[str, ...]] = {
    "cow_states_2016": ("official/cow_states/states2016.csv",),
    "cow_majors_2016": ("processed/cow_majors.csv.gz",),
    "cow_contiguity_3_2": ("official/cow_contiguity/DirectContiguity320.zip",),
    "cow_nmc_7_0": ("processed/cow_nmc.csv.gz",),
    "cow_nmc_6_0": ("official/cow_nmc/NMC-60-abridged.csv",),
    "cow_nmc_5_0": ("official/cow_nmc/NMC_5_0.csv",),
    "atop_5_1": ("processed/atop_alliance.csv.gz",),
    "atop_5_0": ("official/atop/atop5_0a.csv",),
    "atop_4_01": ("official/atop/atop4_01a.csv", "official/atop/atop4_01m.csv"),
    "cow_alliances_4_1": ("official/cow_alliances",),
    "gml_2_2_1": ("processed/gml_dirdisp.csv.gz",),
    "gml_2_1_1": ("official/gml_mid/gml-ddy-disputes-2.1.1.csv",),
    "gml_2_0": ("official/gml_mid/gml-mida-2.0.csv", "official/gml_mid/gml-midb-2.0.csv"),
    "cow_mid_5_0": ("official/cow_mid/MIDA 5.0.csv", "official/cow_mid/MIDB 5.0.csv"),
    "cow_dyadic_mid_4_02": ("official/cow_mid/dyadic_mid_4.02.csv",),
    "cow_wars_4_0": ("official/cow_wars",),
    "ucdp_acd_25_1": ("processed/ucdp_acd.csv.gz",),
    "ucdp_acd_22_1": ("processed/ucdp_prio_acd_22_1.csv.gz",),
    "ucdp_dyadic_24_1": ("official/ucdp/Dyadic_v24_1.csv",),
    "cow_igo_3": ("processed/cow_igo_ndy.csv.gz",),
    "cow_trade_4_0": ("processed/cow_trade_sy.csv.gz",),
    "vdem_16": ("processed/democracy.csv.gz",),
    "min_distance": ("processed/cow_mindist.csv.gz",),
    "rivalries_td": ("processed/td_rivalries.csv.gz",),
    "rivalries_tss": ("processed/tss_rivalries.csv.gz",),
}


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
    """Fit of the embedded data, 1990 to 2025, with made-up draws."""
    return make_known_fit(load_panel(data=tables, years=(1990, 2025)))


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
    return load_panel(data=tiny_tables)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers with a fixed seed."""
    return np.random.default_rng(20260101)
