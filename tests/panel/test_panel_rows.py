"""Rows of panels: who is at risk, what happened, and that no onset gets lost."""

import json
from dataclasses import replace

import numpy as np
import pytest

from forecast.errors import ArgumentError, CoverageError, ForecastError, MissingFileError
from forecast.features.gather import FeatureRequest, compute_features
from forecast.panel import rows
from forecast.panel.build import future_panel, load_panel
from forecast.sources.embedded import tables_from_frames
from forecast.sources.tables import Coverage

RELEVANT = {"population": "politically_relevant"}


def rows_of(panel, **codes):
    """Years and outcomes of one pair or state."""
    keep = np.ones(panel.data.sizes["row"], dtype=bool)
    for name, code in codes.items():
        keep &= panel.data[name].to_numpy() == code
    part = panel.data.isel(row=keep)
    return dict(zip(part["year"].to_numpy().tolist(), part["outcome"].to_numpy().tolist(),
                    strict=True))  # fmt: skip


def test_rows_are_unique_sorted_pairs(tiny_panel):
    data = tiny_panel.data
    keys = np.stack([data[name].to_numpy() for name in ("year", "ccode_a", "ccode_b")])
    assert (keys[1] < keys[2]).all()
    assert (np.lexsort(keys[::-1]) == np.arange(keys.shape[1])).all()
    assert np.unique(keys, axis=1).shape == keys.shape
    assert data["outcome"].dtype == np.float64


def test_rows_start_one_lag_after_the_coverage(tiny_tables, tiny_panel):
    assert tiny_panel.data["year"].to_numpy().min() == 1991
    assert tiny_panel.data["year"].to_numpy().max() == 2010
    later = load_panel(data=tiny_tables, lag=3)
    assert later.data["year"].to_numpy().min() == 1993
    assert later.lag == 3


def test_politically_relevant_is_judged_in_the_year_of_the_row(tiny_panel):
    # Contiguous since Cora's entry in 1995, until Dara leaves in 2003.
    assert rows_of(tiny_panel, ccode_a=30, ccode_b=40) == {
        y: float(y == 1999) for y in range(1995, 2004)
    }
    # Eron is a major power, so each of its pairs is a row while both are states.
    assert list(rows_of(tiny_panel, ccode_a=50, ccode_b=60)) == [
        *range(1991, 1999), *range(2001, 2011),
    ]  # fmt: skip
    # Arvo and Fyra are far apart.
    assert rows_of(tiny_panel, ccode_a=10, ccode_b=60) == {}


def test_what_is_under_way_is_a_row_whatever_the_year_brings(tiny_tables, tiny_panel):
    """Not only if a new onset comes: that would select rows on the outcome."""
    keys = ("year", "ccode_a", "ccode_b")
    frames = {
        rule: load_panel(data=tiny_tables, under_way=rule, **RELEVANT)
        .data.to_dataframe()
        .set_index([*keys])
        for rule in ("stratum", "drop", "convention")
    }
    asked = compute_features(tiny_panel, [FeatureRequest("under_way", "under_way")])
    under_way = asked.data.to_dataframe().set_index([*keys])["under_way"] == 1
    going_on = {
        (1995, 10, 20), (1996, 10, 20), (2000, 30, 40), (2000, 30, 50), (2006, 20, 30),
        (2007, 20, 30),
    }  # fmt: skip
    assert set(under_way.index[under_way]) == going_on
    every = frames["stratum"]["outcome"]
    assert every[under_way].sum() == 1  # c11 began in 2006 while c10 went on
    assert set(frames["drop"].index) == set(every.index) - going_on
    # The field's: of those rows only the one with a new onset.
    assert set(frames["convention"].index) == set(every.index) - going_on | {(2006, 20, 30)}
    for frame in frames.values():  # what is not under way is the same for all three
        assert (frame["outcome"] == every[frame.index]).all()


@pytest.mark.parametrize("unit", ["dyad-year", "directed-dyad-year"])
def test_rows_of_every_rule_are_among_those_of_the_stratum(tiny_tables, unit):
    every = load_panel(data=tiny_tables, unit=unit)
    for rule in ("drop", "convention"):
        own = load_panel(data=tiny_tables, unit=unit, under_way=rule)
        chosen = rows.rows_by(every, rule)
        assert chosen.data.drop_attrs().equals(own.data.drop_attrs())
        assert chosen.choices == own.choices
        assert rows.rows_by(own, rule) is own
        with pytest.raises(ArgumentError, match=f"rows of under_way='{rule}', which are not all"):
            rows.rows_by(own, "stratum")


def test_rows_under_way_are_accounted_for(tiny_tables):
    def counts(rule, unit="dyad-year"):
        attrs = load_panel(data=tiny_tables, under_way=rule, unit=unit, **RELEVANT).data.attrs
        names = ("rows_under_way", "onsets_under_way", "rows_dropped_ongoing")
        return [attrs[n] for n in (*names, "onsets_dropped_ongoing", "onsets_in_population")]

    assert counts("stratum") == [6, 1, 0, 0, 10]
    assert counts("drop") == [0, 0, 6, 1, 10]
    assert counts("convention") == [1, 1, 5, 0, 10]
    assert counts("stratum", "directed-dyad-year")[:3] == [12, 1, 0]
    assert counts("convention", "directed-dyad-year")[:3] == [2, 1, 10]


def test_the_rule_is_part_of_the_panel(tiny_tables):
    panels = {rule: load_panel(data=tiny_tables, under_way=rule) for rule in ("stratum", "drop")}
    assert panels["drop"].under_way == panels["drop"].to_dict()["under_way"] == "drop"
    assert panels["drop"].fingerprint != panels["stratum"].fingerprint
    # c12 of 2010 has no end on record: under way on 1 January 2011, and no row if those are none.
    ahead = {rule: future_panel(panel, year=2011) for rule, panel in panels.items()}
    assert 2011 in rows_of(ahead["stratum"], ccode_a=20, ccode_b=50)
    assert 2011 not in rows_of(ahead["drop"], ccode_a=20, ccode_b=50)
    later = future_panel(panels["drop"], year=2012)  # whether it lasts so long is not known
    assert 2012 in rows_of(later, ccode_a=20, ccode_b=50)


@pytest.mark.parametrize("unit", ["state-year", "dispute-dyad", "alliance-year"])
def test_only_pairs_can_be_left_out_for_a_dispute_that_goes_on(tiny_tables, unit):
    with pytest.raises(ArgumentError, match=r"under_way='drop': expected one of stratum for unit"):
        load_panel(data=tiny_tables, unit=unit, under_way="drop")
    with pytest.raises(ArgumentError, match=r"under_way='conventoin'.*Did you mean 'convention'"):
        load_panel(data=tiny_tables, under_way="conventoin")


def test_every_onset_is_accounted_for(tiny_panel):
    # 13 dyadic onsets; one in 1990, before the rows; two of 2001 share a dyad-year; one is
    # outside the politically relevant dyads.
    assert tiny_panel.data.attrs == {
        "episodes": 12,
        "onsets_total": 11,
        "onsets_in_population": 10,
        "onsets_outside_population": 1,
        "onsets_under_way": 1,
        "onsets_dropped_ongoing": 0,
        "rows_under_way": 6,
        "rows_dropped_ongoing": 0,
        "rows_dropped_unknown": 0,
    }
    assert tiny_panel.data["outcome"].sum() == 10


def test_all_dyads(tiny_tables):
    panel = load_panel(data=tiny_tables, population="all")
    assert panel.data.attrs["onsets_outside_population"] == 0
    assert panel.data["outcome"].sum() == 11
    member = panel.world["member"].to_numpy()[1:]
    states = member.sum(axis=1)
    pairs = (states * (states - 1) // 2).sum()
    assert panel.data.sizes["row"] == pairs


def test_a_lost_onset_is_an_error():
    attrs = {"onsets_total": 3, "onsets_in_population": 1, "onsets_outside_population": 1}
    with pytest.raises(ForecastError, match="Onsets were lost"):
        rows.account(attrs)


def test_directed_rows(tiny_tables, tiny_panel):
    panel = load_panel(data=tiny_tables, unit="directed-dyad-year")
    data = panel.data
    assert rows_of(panel, ccode_a=20, ccode_b=10)[1994] == 1.0
    assert rows_of(panel, ccode_a=10, ccode_b=20)[1994] == 0.0
    # Both began it.
    assert rows_of(panel, ccode_a=40, ccode_b=60)[1998] == 1.0
    assert rows_of(panel, ccode_a=60, ccode_b=40)[1998] == 1.0
    # Who began it is not clear: no row in either direction.
    assert 1999 not in rows_of(panel, ccode_a=30, ccode_b=50)
    assert 1999 not in rows_of(panel, ccode_a=50, ccode_b=30)
    unclear = data.attrs["onsets_dropped_initiator_unclear"]
    assert unclear == 2
    assert data.sizes["row"] == 2 * (tiny_panel.data.sizes["row"] - unclear)
    # 8 known onsets with one initiator and 1 with two.
    assert data["outcome"].sum() == 9 - 1 + 1


def test_state_years(tiny_tables):
    panel = load_panel(data=tiny_tables, unit="state-year")
    assert panel.population == "all"
    assert "ccode" in panel.data.coords
    assert panel.data.sizes["row"] == int(panel.world["member"].to_numpy()[1:].sum())
    assert rows_of(panel, ccode=30)[1999] == 1.0
    assert rows_of(panel, ccode=50)[1999] == 1.0
    assert rows_of(panel, ccode=60)[2002] == 1.0
    assert rows_of(panel, ccode=60)[2004] == 0.0
    assert set(np.unique(panel.data["region"])) == {"Americas", "Asia", "Europe", "Oceania"}
    majors = load_panel(data=tiny_tables, unit="state-year", population="major_power")
    assert set(majors.data["ccode"].to_numpy().tolist()) == {50}
    assert rows_of(majors, ccode=50) == rows_of(panel, ccode=50)
    attrs = majors.data.attrs
    assert (
        attrs["onsets_outside_population"] == attrs["onsets_total"] - majors.data["outcome"].sum()
    )


def test_regions_of_the_two_sides(tiny_panel):
    data = tiny_panel.data
    region = {10: "Europe", 20: "Europe", 30: "Asia", 40: "Asia", 50: "Americas", 60: "Oceania"}
    for side in "ab":
        expected = [region[c] for c in data[f"ccode_{side}"].to_numpy().tolist()]
        assert data[f"region_{side}"].to_numpy().tolist() == expected


def test_unknown_deaths_leave_the_row_out(tiny_tables):
    panel = load_panel(data=tiny_tables, outcome="fatal_onset", population="all")
    assert 2002 not in rows_of(panel, ccode_a=10, ccode_b=60)
    assert panel.data.attrs["rows_dropped_unknown"] == 1


@pytest.mark.parametrize("outcome", ["originator_onset", "war_onset"])
def test_rows_are_the_same_for_all_outcomes(tiny_tables, tiny_panel, outcome):
    panel = load_panel(data=tiny_tables, outcome=outcome, **RELEVANT)
    for name in ("year", "ccode_a", "ccode_b"):
        assert (panel.data[name] == tiny_panel.data[name]).all()
    assert panel.data["outcome"].sum() < tiny_panel.data["outcome"].sum()


def test_use_of_force_or_more(tiny_frames, tiny_coverage, tiny_panel):
    """Threats and displays are disputes, but not uses of force."""
    conflicts = tiny_frames["conflicts"]
    conflicts.loc[conflicts["conflict_id"].isin(["c06", "c07"]), "level"] = "display_of_force"
    conflicts.loc[conflicts["conflict_id"] == "c10", "level"] = "threat"
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    panel = load_panel(data=tables, outcome="force_onset", **RELEVANT)
    # Both of 2001 between 10 and 50, and the one of 2005 between 20 and 30.
    assert panel.data["outcome"].sum() == tiny_panel.data["outcome"].sum() - 2
    assert rows_of(panel, ccode_a=10, ccode_b=50)[2001] == 0.0
    assert rows_of(panel, ccode_a=20, ccode_b=30)[2005] == 0.0
    assert rows_of(panel, ccode_a=20, ccode_b=30)[2006] == 1.0


@pytest.mark.parametrize(
    ("population", "inside", "outside"),
    [
        ("contiguous", (20, 30), (30, 50)),
        ("major_power", (30, 50), (20, 30)),
        ("same_region", (10, 20), (20, 30)),
    ],
)
def test_populations(tiny_tables, population, inside, outside):
    panel = load_panel(data=tiny_tables, population=population)
    every = load_panel(data=tiny_tables, population="all")
    a, b = inside
    assert rows_of(panel, ccode_a=a, ccode_b=b) == rows_of(every, ccode_a=a, ccode_b=b)
    a, b = outside
    assert rows_of(panel, ccode_a=a, ccode_b=b) == {}
    attrs = panel.data.attrs
    assert attrs["onsets_in_population"] + attrs["onsets_outside_population"] == 11
    assert 0 < attrs["onsets_in_population"] < 11


def test_years_restrict(tiny_tables, tiny_panel):
    panel = load_panel(data=tiny_tables, years=(1995, 2000), **RELEVANT)
    assert set(panel.data["year"].to_numpy().tolist()) == set(range(1995, 2001))
    part = tiny_panel.select_years(1995, 2000)
    assert (panel.data["outcome"].to_numpy() == part.data["outcome"].to_numpy()).all()


@pytest.mark.parametrize("years", [(1989, 2000), (2000, 2011)])
def test_years_outside_the_coverage(tiny_tables, years):
    message = r"dyad-year panel of 'tiny' covers 1990–2010 \(from 1991 with every feature of lag=1"
    with pytest.raises(CoverageError, match=message):
        load_panel(data=tiny_tables, years=years)


@pytest.mark.parametrize("years", [1995, (2000, 1995), (1995,)])
def test_years_that_are_no_span(tiny_tables, years):
    with pytest.raises(ArgumentError, match="expected the first and the last year"):
        load_panel(data=tiny_tables, years=years)


def test_explicit_years_begin_with_the_coverage(tiny_tables):
    """The first covered year has rows, but no lagged features; and late tables do not matter."""
    panel = load_panel(data=tiny_tables, years=(1990, 1992))
    assert panel.data["year"].to_numpy().min() == 1990
    assert rows_of(panel, ccode_a=10, ccode_b=20)[1990] == 1.0
    request = FeatureRequest("allies", "has_ally", side="sum")
    column = compute_features(panel, [request]).data["allies"].to_numpy()
    first = panel.data["year"].to_numpy() == 1990
    assert np.isnan(column[first]).all()
    assert not np.isnan(column[~first]).any()
    late = {**tiny_tables.coverage, "capabilities": Coverage(1995, 2010, "tiny", "1", "CC0-1.0")}
    tables = replace(tiny_tables, coverage=late)
    assert load_panel(data=tables).data["year"].to_numpy().min() == 1996
    assert load_panel(data=tables, years=(1990, 2010)).data["year"].to_numpy().min() == 1990


def test_coverage_of_the_conflicts_bounds_the_rows(tiny_frames, tiny_coverage):
    conflicts = tiny_frames["conflicts"]
    tiny_frames["conflicts"] = conflicts[conflicts["end"] < "2001-01-01"]
    tiny_coverage["conflicts"] = Coverage(1990, 2000, "tiny", "1", "CC0-1.0")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    panel = load_panel(data=tables)
    assert panel.data["year"].to_numpy().max() == 2000
    assert panel.world["year"].to_numpy().max() == 2010
    assert not panel.world["conflict_covered"].sel(year=2001)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"unit": "dyads"}, "unit='dyads': expected one of dyad-year, directed-dyad-year, state"),
        ({"population": "prd"}, "population='prd': expected one of all, politically_relevant"),
        ({"outcome": "war"}, "outcome='war': expected one of onset, originator_onset"),
        ({"lag": 0}, "lag=0: expected a whole number, 1 to"),
        (
            {"unit": "state-year", "population": "politically_relevant"},
            "expected one of all, major_power for unit='state-year'",
        ),
        ({"outcome": "escalation_to_war"}, "expected one of onset.* for unit='dyad-year'"),
        ({"unit": "dispute-dyad", "outcome": "onset"}, "expected one of escalation_to_war"),
        ({"unit": "alliance-year", "population": "contiguous"}, "expected one of all for unit="),
        ({"outcome": "war_onsets"}, "Did you mean 'war_onset'"),
        (
            {"sources": {"conflicts": "cow_mid_5_0"}},
            "only data='historical' is put together from sources",
        ),
    ],
)
def test_bad_options(tiny_tables, option, message):
    with pytest.raises(ArgumentError, match=message):
        load_panel(data=tiny_tables, **option)


def test_missing_data_folder(tmp_path):
    with pytest.raises(MissingFileError, match="There is no folder"):
        load_panel(data=tmp_path / "nothing")


def test_fingerprint_is_of_content_and_choices(tiny_tables, tiny_panel):
    again = load_panel(data=tiny_tables, **RELEVANT)
    assert again.fingerprint == tiny_panel.fingerprint
    others = {
        load_panel(data=tiny_tables, **{**RELEVANT, **option}).fingerprint
        for option in (
            {"unit": "directed-dyad-year"},
            {"population": "all"},
            {"outcome": "war_onset"},
            {"lag": 2},
            {"under_way": "convention"},
            {"years": (1995, 2000)},
        )
    }
    assert len(others | {tiny_panel.fingerprint}) == 7


def test_future(tiny_panel):
    future = future_panel(tiny_panel, year=2012)
    assert set(future.data["year"].to_numpy().tolist()) == {2012}
    assert future.data["outcome"].isnull().all()
    pairs = set(zip(future.data["ccode_a"].to_numpy().tolist(),
                    future.data["ccode_b"].to_numpy().tolist(), strict=True))  # fmt: skip
    assert pairs == {(10, 20), (20, 30), (10, 50), (20, 50), (30, 50), (50, 60)}
    assert future.data.attrs["carried_forward"]
    assert future.world["year"].to_numpy()[[0, -1]].tolist() == [1990, 2012]
    assert future.fingerprint != tiny_panel.fingerprint
    assert future.unit == tiny_panel.unit


def test_rows_can_be_stored(tiny_panel):
    """Attributes and variables are of kinds that a file holds without pickle."""
    for panel in (tiny_panel, future_panel(tiny_panel, year=2011)):
        assert json.loads(json.dumps(panel.data.attrs)) == panel.data.attrs
        assert not any(isinstance(value, bool) for value in panel.data.attrs.values())
        assert {v.dtype.kind for v in panel.data.variables.values()} <= set("iufU")


def test_future_of_a_covered_year(tiny_panel):
    with pytest.raises(CoverageError, match=r"year=2010.*covered to 2010"):
        future_panel(tiny_panel, year=2010)


def test_future_needs_tables(tiny_panel):
    with pytest.raises(ArgumentError, match="no tables to carry forward"):
        future_panel(replace(tiny_panel, tables=None), year=2011)


@pytest.mark.parametrize("unit", ["dyad-year", "directed-dyad-year", "state-year"])
def test_future_rows_are_the_members_of_the_last_day(tables, unit):
    panel = load_panel(data=tables, unit=unit, years=(2024, 2025))
    future = future_panel(panel, year=2026)
    last = panel.data.isel(row=panel.data["year"].to_numpy() == 2025)
    dropped = panel.data.attrs["rows_dropped_ongoing"] + panel.data.attrs["rows_dropped_unknown"]
    assert 0 <= future.data.sizes["row"] - last.sizes["row"] <= dropped


def test_embedded_panel(tables):
    """The default is all pairs: one row for two states of a year, and no onset outside."""
    panel = load_panel(data=tables)
    assert panel.population == "all"
    assert panel.data["year"].to_numpy().min() == 1947
    assert panel.data["year"].to_numpy().max() == 2025
    attrs = panel.data.attrs
    begun = tables.conflicts["start"].dt.year
    assert attrs["episodes"] == int((begun >= 1947).sum())
    assert attrs["onsets_total"] <= attrs["episodes"]
    assert panel.data["outcome"].sum() == attrs["onsets_in_population"] == attrs["onsets_total"]
    together = panel.world["together"].sel(year=slice(1947, 2025))
    assert panel.data.sizes["row"] == int(together.sum()) // 2 == 1_004_060
    assert not panel.data["outcome"].isnull().any()
    near = load_panel(data=tables, **RELEVANT)
    assert near.data.sizes["row"] == 101_135
    # One in eight of the onsets is between two that are not politically relevant.
    assert near.data.attrs["onsets_outside_population"] == attrs["onsets_total"] - 879 == 134
    rate = float(near.data["outcome"].mean())
    assert 0.002 < rate < 0.05, "onsets per politically relevant dyad-year"
