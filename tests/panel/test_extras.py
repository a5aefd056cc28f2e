"""World variables of the extra tables, and their masks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast.panel.statuses import EXTRA_MASKS
from forecast.panel.world import build_world
from forecast.sources.checking import validate
from forecast.sources.tables import EXTRA_TABLES, Coverage


def pair_rows(rows, *columns):
    return pd.DataFrame(rows, columns=["ccode_a", "ccode_b", "year", *columns])


def state_rows(rows, *columns):
    return pd.DataFrame(rows, columns=["ccode", "year", *columns])


def make_extra():
    """Extra tables of the tiny world; 70 is no state of it, 30 enters in July 1995."""
    rivalries = pd.DataFrame(
        [
            ("r1", 10, 20, "1990-01-01", "1994-12-31", "spatial"),
            ("r2", 20, 30, "1993-01-01", None, None),
            ("r3", 10, 70, "1990-01-01", None, None),
        ],
        columns=["rivalry_id", "ccode_a", "ccode_b", "start", "end", "kind"],
    )
    for column in ("start", "end"):
        rivalries[column] = rivalries[column].to_numpy(dtype="datetime64[s]")
    extra = {
        "rivalries": rivalries.astype({"rivalry_id": "str", "kind": "str"}),
        "regimes": state_rows(
            [(10, 1990, 0.9), (10, 2006, 0.1), (20, 1999, np.nan), (30, 1994, 0.5), (70, 1999, 1)],
            "polyarchy",
        ).astype({"polyarchy": float}),
        "polity": state_rows([(10, 1990, -9.0), (10, 2000, 7.0)], "polity"),
        "troops": state_rows([(10, 2000, 0.0), (20, 2004, 300.0)], "us_troops"),
        "trade": state_rows(
            [(10, 2000, 300.0, 100.0), (20, 2000, np.nan, 50.0)], "imports", "exports"
        ),
        "dyadic_trade": pair_rows(
            [(10, 20, 2000, 40.0, 5.0), (10, 60, 2000, 1.0, 1.0), (10, 20, 2001, np.nan, 7.0)],
            "imports_a",
            "imports_b",
        ),
        "igos": pair_rows([(10, 20, 2000, 30), (10, 20, 2001, 0), (20, 30, 1990, 4)], "joint_igos"),
        "distances": pair_rows([(10, 20, 2000, 0.0), (10, 50, 2000, 5000.5)], "km"),
    }
    return {name: validate(name, frame) for name, frame in extra.items()}


COVERS = {
    "rivalries": (1990, 2006),
    "regimes": (1985, 2006),
    "polity": (1985, 2000),
    "troops": (1995, 2004),
    "trade": (1990, 2001),
    "dyadic_trade": (1995, 2004),
    "igos": (1990, 2005),
    "distances": (1995, 2008),
}


def with_extra(tables, *names):
    extra = make_extra()
    coverage = {
        n: Coverage(*COVERS[n], source="tiny", version="1", licence="CC0-1.0") for n in names
    }
    return replace(
        tables,
        extra={name: extra[name] for name in names},
        coverage={**tables.coverage, **coverage},
    )


@pytest.fixture(scope="module")
def world(tiny_tables):
    return build_world(with_extra(tiny_tables, *COVERS))


def years(mask):
    found = mask["year"].to_numpy()[mask.to_numpy()]
    return (int(found[0]), int(found[-1])) if found.size else None


def test_masks_are_there_without_tables_and_all_false(tiny_world):
    for mask in EXTRA_MASKS:
        assert tiny_world[mask].dtype == bool and not tiny_world[mask].any()
    for name in ("rivalry", "polyarchy", "imports", "trade_flow", "joint_igos", "distance_km"):
        assert name not in tiny_world


def test_masks_cover_what_all_their_tables_cover(world, tiny_tables):
    assert years(world["rivalry_covered"]) == (1990, 2006)
    assert years(world["regime_covered"]) == (1990, 2006)
    assert years(world["polity_covered"]) == (1990, 2000)  # not the years of the other measure
    assert years(world["troops_covered"]) == (1995, 2004)
    assert years(world["trade_covered"]) == (1995, 2001)
    assert years(world["igo_covered"]) == (1990, 2005)
    assert years(world["distance_covered"]) == (1995, 2008)
    # National trade alone cannot give the trade between two states.
    national = build_world(with_extra(tiny_tables, "trade"))
    assert "imports" in national and "trade_flow" not in national
    assert not national["trade_covered"].any()
    assert {table for needed in EXTRA_MASKS.values() for table in needed} == set(COVERS)
    assert set(COVERS) <= set(EXTRA_TABLES)


def test_rivalries_hold_while_both_are_in_the_system(world):
    rivalry = world["rivalry"]
    assert years(rivalry.sel(state=10, other=20)) == (1990, 1994)
    assert years(rivalry.sel(state=30, other=20)) == (1995, 2006)  # not before 30 entered
    values = rivalry.to_numpy()
    assert (values == values.transpose(0, 2, 1)).all()
    assert values.sum() == 2 * (5 + 12)


def test_values_and_gaps(world):
    polyarchy = world["polyarchy"]
    assert polyarchy.sel(state=10, year=1990) == np.float32(0.9)
    # Not coded, coded before entry, coded as missing.
    assert np.isnan(polyarchy.sel(state=10, year=1991))
    assert np.isnan(polyarchy.sel(state=30, year=1994))
    assert np.isnan(polyarchy.sel(state=20, year=1999))
    assert int(np.isfinite(polyarchy).sum()) == 2
    assert world["polity"].sel(state=10, year=1990) == -9
    assert world["us_troops"].sel(state=10, year=2000) == 0  # known to be none
    assert np.isnan(world["us_troops"].sel(state=20, year=2000))
    flow = world["trade_flow"]
    assert flow.sel(year=2000, state=10, other=20) == 40  # imports of 10 from 20
    assert flow.sel(year=2000, state=20, other=10) == 5
    assert np.isnan(flow.sel(year=2001, state=10, other=20))
    assert flow.sel(year=2001, state=20, other=10) == 7
    # 60 was outside the system in 2000: no pair.
    assert np.isnan(flow.sel(year=2000, state=10, other=60))
    assert world["imports"].sel(year=2000, state=10) == 300
    assert np.isnan(world["imports"].sel(year=2000, state=20))
    igos = world["joint_igos"]
    assert igos.sel(year=2001, state=20, other=10) == 0  # known to be none
    assert np.isnan(igos.sel(year=2002, state=20, other=10))
    assert np.isnan(igos.sel(year=1990, state=20, other=30))
    assert world["distance_km"].sel(year=2000, state=50, other=10) == np.float32(5000.5)


def test_carried_forward(tiny_tables):
    tables = with_extra(tiny_tables, *COVERS)
    world = build_world(tables, last_year=2012, carry_forward=True)
    assert years(world["regime_covered"]) == (1990, 2012)
    assert world["polyarchy"].sel(state=10, year=2012) == np.float32(0.1)
    assert years(world["rivalry"].sel(state=20, other=30)) == (1995, 2012)
    assert world["us_troops"].sel(state=20, year=2012) == 300
    assert np.isnan(world["us_troops"].sel(state=10, year=2012))  # no row in the last year
    # The last covered year of trade has no row: nothing to repeat.
    assert np.isnan(world["distance_km"].sel(year=2012)).all()
    plain = build_world(tables, last_year=2012)
    assert years(plain["regime_covered"]) == (1990, 2006)
    assert np.isnan(plain["polyarchy"].sel(year=2007)).all()
    assert not plain["rivalry"].sel(year=2007).any()


def test_window_is_a_slice_of_the_whole(world, tiny_tables):
    part = build_world(with_extra(tiny_tables, *COVERS), first_year=1996, last_year=2001)
    for name in ("rivalry", "polyarchy", "trade_flow", "joint_igos", "distance_km", *EXTRA_MASKS):
        whole = world[name].sel(year=slice(1996, 2001))
        assert part[name].dtype == whole.dtype
        np.testing.assert_array_equal(part[name], whole, err_msg=name)


def test_rows_before_the_coverage_are_not_used(tiny_tables):
    tables = with_extra(tiny_tables, "igos")
    late = Coverage(2001, 2005, source="tiny", version="1", licence="CC0-1.0")
    world = build_world(replace(tables, coverage={**tables.coverage, "igos": late}))
    assert np.isnan(world["joint_igos"].sel(year=2000)).all()
    assert world["joint_igos"].sel(year=2001, state=10, other=20) == 0
