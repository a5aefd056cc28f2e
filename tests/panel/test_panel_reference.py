"""Panels against the real reference data (not part of the repository)."""

import numpy as np
import pandas as pd
import pytest

from forecast.panel.build import load_panel
from forecast.panel.world import build_world

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def world(tables):
    return build_world(tables)


def test_states_per_year_are_those_of_cow(world, reference):
    """Members on any day of the year, and all ordered pairs of them, exactly."""
    counts = pd.read_csv(reference / "processed/cow_ddy_counts_by_year.csv.gz")
    counts = counts[counts["year"].between(1946, 2024)].set_index("year")
    ours = world["member"].sum("state").to_series().loc[1946:2024]
    differs = ours[ours != counts["states"]]
    assert differs.empty, differs.to_dict()
    pairs = world["together"].sum(["state", "other"]).to_series().loc[1946:2024]
    differs = pairs[pairs != counts["directed_dyads"]]
    assert differs.empty, differs.to_dict()


def test_all_dyads_of_a_panel_are_those_of_cow(tables, reference):
    counts = pd.read_csv(reference / "processed/cow_ddy_counts_by_year.csv.gz")
    counts = counts.set_index("year")["directed_dyads"]
    panel = load_panel(data=tables, population="all", unit="directed-dyad-year", years=(1990, 1991))
    data = panel.data
    dropped = data.attrs["rows_dropped_ongoing"] + data.attrs["rows_dropped_unknown"]
    assert data.sizes["row"] + dropped == counts.loc[1990] + counts.loc[1991]


def test_members_state_by_state(world, reference):
    """The years in which COW has a state are the years in which we have it, to 2016."""
    cow = pd.read_csv(reference / "processed/cow_states.csv.gz")
    theirs = {
        (row.ccode, year)
        for row in cow.itertuples()
        for year in range(max(row.styear, 1946), min(row.endyear, 2016) + 1)
    }
    member = world["member"].sel(year=slice(1946, 2016)).to_series()
    ours = {(code, year) for (year, code), inside in member.items() if inside}
    assert ours == theirs


def test_majors_are_those_of_cow(world, reference):
    cow = pd.read_csv(reference / "processed/cow_majors.csv.gz")
    theirs = {
        (row.ccode, year)
        for row in cow.itertuples()
        for year in range(max(row.styear, 1946), min(row.endyear, 2016) + 1)
    }
    major = world["major"].sel(year=slice(1946, 2016)).to_series()
    assert {(code, year) for (year, code), on in major.items() if on} == theirs


def test_politically_relevant_dyads_match_a_plain_computation(tables, world, reference):
    """Counted from COW's own contiguity and majors, our rows agree to two percent."""
    contiguity = pd.read_csv(reference / "official/cow_contiguity/contdird.csv")
    majors = pd.read_csv(reference / "processed/cow_majors.csv.gz")
    states = pd.read_csv(reference / "processed/cow_states.csv.gz")
    panel = load_panel(data=tables, population="politically_relevant", years=(1950, 2016))
    year_of, a, b = (panel.data[c].to_numpy() for c in ("year", "ccode_a", "ccode_b"))
    total_ours = total_theirs = total_common = 0
    for year in range(1950, 2017, 6):
        there = states[(states["styear"] <= year) & (states["endyear"] >= year)]["ccode"]
        great = majors[(majors["styear"] <= year) & (majors["endyear"] >= year)]["ccode"]
        pairs = {(min(x, y), max(x, y)) for x in great.unique() for y in there.unique() if x != y}
        near = contiguity[contiguity["year"] == year]
        pairs |= {(x, y) for x, y in zip(near["state1no"], near["state2no"], strict=True) if x < y}
        rows = year_of == year
        ours = set(zip(a[rows].tolist(), b[rows].tolist(), strict=True))
        dispute = world["dispute"].sel(year=year).to_numpy()
        running = dispute & ~world["onset"].sel(year=year).to_numpy()
        codes = world["state"].to_numpy()
        ongoing = {(int(codes[i]), int(codes[j])) for i, j in np.argwhere(running) if i < j}
        theirs = pairs - ongoing
        total_ours += len(ours)
        total_theirs += len(theirs)
        total_common += len(ours & theirs)
    assert total_common / total_ours > 0.98
    assert total_common / total_theirs > 0.98
