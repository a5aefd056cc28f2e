"""The capability share: sums, floors, gaps at entry."""

import numpy as np
import pandas as pd
import pytest

from forecast.sources.embedded import FLOOR, tables_from_frames, with_capability


def share(tables, ccode, year):
    rows = tables.capabilities.set_index(["ccode", "year"])
    return rows.loc[(ccode, year), "capability"]


def test_share_is_the_mean_of_two_shares(tiny_frames, tiny_coverage):
    table = tiny_frames["capabilities"]
    table.loc[(table["ccode"] == 10) & (table["year"] == 1990), "gdp"] = 2e11
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    # In 1990: 10, 20, 40, 50, 60 with 10, 20, 20, 100, 1e-5 million people.
    population = 10 / 150.00001
    gdp = 20 / 160.00001
    assert share(tables, 10, 1990) == pytest.approx((population + gdp) / 2)


def test_shares_add_up_to_one_before_the_floor(tables):
    total = tables.capabilities.groupby("year")["capability"].sum()
    assert np.allclose(total, 1, atol=20 * FLOOR * 10)


def test_small_state_is_floored_and_flagged(tiny_tables):
    row = tiny_tables.capabilities.set_index(["ccode", "year"]).loc[(60, 1990)]
    assert row["capability"] == FLOOR
    assert row["capability_floored"]
    assert not tiny_tables.capabilities.set_index(["ccode", "year"]).loc[
        (10, 1990), "capability_floored"
    ]


def test_gap_at_entry_is_carried_back(tiny_tables):
    rows = tiny_tables.capabilities.set_index(["ccode", "year"])
    # Cora enters in 1995 and is first observed in 1997.
    assert rows.loc[(30, 1995), "population"] == 10e6
    assert rows.loc[(30, 1995), "population_flag"] == "extrapolated"
    assert rows.loc[(30, 1996), "gdp_flag"] == "extrapolated"
    assert rows.loc[(30, 1997), "gdp_flag"] == "observed"
    assert (30, 1994) not in rows.index
    assert share(tiny_tables, 30, 1995) == share(tiny_tables, 30, 1997)


@pytest.mark.parametrize(("first_seen", "known"), [(1998, True), (1999, False)])
def test_gap_of_more_than_three_years_stays_missing(tiny_frames, tiny_coverage, first_seen, known):
    table = tiny_frames["capabilities"]
    tiny_frames["capabilities"] = table[(table["ccode"] != 30) | (table["year"] >= first_seen)]
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    rows = tables.capabilities.set_index(["ccode", "year"])
    assert ((30, 1995) in rows.index) == known


def test_gap_inside_stays_missing(tiny_frames, tiny_coverage):
    table = tiny_frames["capabilities"]
    table.loc[(table["ccode"] == 10) & (table["year"] == 2000), "gdp"] = np.nan
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    assert np.isnan(share(tables, 10, 2000))
    assert not np.isnan(share(tables, 10, 1999))
    # The others share the product without it, and the population with it.
    assert share(tables, 20, 2000) == pytest.approx((20 / 160 + 20 / 150) / 2, rel=1e-6)


def test_carry_back_does_not_cross_an_absence(tiny_frames, tiny_coverage):
    table = tiny_frames["capabilities"]
    fyra = (table["ccode"] == 60) & (table["year"] < 2001)
    tiny_frames["capabilities"] = table[~fyra]
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    rows = tables.capabilities.set_index(["ccode", "year"])
    assert (60, 1998) not in rows.index


def test_no_share_while_not_a_member(tiny_tables):
    rows = tiny_tables.capabilities.set_index(["ccode", "year"])
    assert np.isnan(rows.loc[(60, 1999), "capability"])
    assert rows.loc[(60, 1999), "population"] == 10
    assert not rows.loc[(60, 1999), "capability_floored"]


def test_empty_table_stays_empty(tiny_frames):
    empty = tiny_frames["capabilities"].iloc[:0]
    out = with_capability(empty, tiny_frames["states"], last_year=2010)
    assert isinstance(out, pd.DataFrame)
    assert out.empty
