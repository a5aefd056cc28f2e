"""Months of disputes in the tiny world, counted by hand, and the kinds of end."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast.errors import ArgumentError
from forecast.panel.build import future_panel, load_panel
from forecast.panel.dispute_rows import ending_of, with_months


def frame_of(panel):
    return panel.data.to_dataframe().reset_index(drop=True)


@pytest.fixture(scope="module")
def months(tiny_tables):
    return load_panel(data=tiny_tables, unit="dispute-dyad-month")


def test_a_row_for_each_calendar_month_to_the_last(months):
    rows = frame_of(months)
    war = rows[(rows["conflict_id"] == "c04") & (rows["ccode_b"] == 40)]
    # August 1999 to October 2000.
    assert list(zip(war["year"], war["month"], strict=True)) == [
        *((1999, m) for m in range(8, 13)),
        *((2000, m) for m in range(1, 11)),
    ]
    assert war["months_elapsed"].tolist() == list(range(15))
    assert war["outcome"].tolist() == [0] * 14 + [1]
    joiner = rows[(rows["conflict_id"] == "c04") & (rows["ccode_b"] == 50)]
    assert (len(joiner), set(joiner["joined"]), set(war["joined"])) == (14, {1.0}, {0.0})
    assert rows["outcome"].sum() == months.data.attrs["onsets_total"]


def test_the_first_row_may_be_in_the_middle_of_a_dispute(tiny_tables):
    rows = frame_of(load_panel(data=tiny_tables, unit="dispute-dyad-month", years=(2000, 2000)))
    assert rows.loc[rows["conflict_id"] == "c04", "months_elapsed"].min() == 4


def test_a_running_dispute_has_no_end(months):
    rows = frame_of(months).set_index("conflict_id")
    assert rows.loc[["c12"], "outcome"].sum() == 0
    assert months.data.attrs["rows_censored"] == 1


def test_originators(tiny_tables, months):
    rows = frame_of(
        load_panel(data=tiny_tables, unit="dispute-dyad-month", population="originators")
    )
    assert len(rows) == len(frame_of(months)) - frame_of(months)["joined"].sum()
    assert set(rows["joined"]) == {0.0}
    pairs = load_panel(data=tiny_tables, unit="dispute-dyad", population="originators")
    assert frame_of(pairs).query("conflict_id == 'c04'")["ccode_b"].tolist() == [40]


def test_kinds_of_end_exclude_each_other():
    table = pd.DataFrame(
        [
            ("victory_a", "negotiated", "yielded"),
            ("yield_b", "none", "yielded"),
            ("stalemate", "negotiated", "settled"),
            ("compromise", "none", "settled"),
            ("released", "negotiated", "settled"),
            ("stalemate", "none", "stalemated"),
            ("released", "imposed", "stalemated"),
            ("unclear", "negotiated", "settled"),
            ("unclear", "none", "unclear"),
            ("ongoing", "negotiated", "ongoing"),
        ],
        columns=["outcome", "settlement", "kind"],
    )
    assert ending_of(table).tolist() == table["kind"].tolist()


def test_causes_add_up_to_the_ends_of_known_kind(tables):
    """On the embedded data: each end is of one kind; unclear ones have no last month."""
    panels = {
        outcome: load_panel(data=tables, unit="dispute-dyad-month", outcome=outcome)
        for outcome in ("ended", "settled", "stalemated", "yielded")
    }
    ends = {name: int(panel.data["outcome"].sum()) for name, panel in panels.items()}
    unclear = panels["settled"].data.attrs["rows_dropped_unknown"]
    assert ends["settled"] + ends["stalemated"] + ends["yielded"] + unclear == ends["ended"]
    assert unclear > 0
    assert panels["settled"].data.sizes["row"] == panels["ended"].data.sizes["row"] - unclear


def test_months_of_participants_where_the_pair_has_a_year_only(tiny_tables):
    conflicts = tiny_tables.conflicts.copy()
    c02 = conflicts["conflict_id"] == "c02"
    conflicts.loc[c02, ["start_precision", "end_precision"]] = "year"
    bare = with_months(replace(tiny_tables, conflicts=conflicts)).set_index("conflict_id")
    assert not bare.loc["c02", "dated"]
    dates = {"start": ["1994-10-05", "1994-11-01"], "end": ["1996-02-01", "1996-03-09"]}
    days = {c: np.array(d, dtype="datetime64[s]") for c, d in dates.items()}
    given = pd.DataFrame(
        {"conflict_id": "c02", "ccode": [10, 20], "side": ["a", "b"], "role": "originator"}
        | days
        | {"start_precision": "day", "end_precision": "day"}
    )
    told = replace(tiny_tables, conflicts=conflicts, extra={"participants": given})
    row = with_months(told).set_index("conflict_id").loc["c02"]
    assert row["dated"]
    # Both were in it from November 1994 to February 1996.
    assert (row["first_month"], row["last_month"]) == (12 * 1994 + 10, 12 * 1996 + 1)


def test_what_cannot_be(tiny_tables, months):
    with pytest.raises(ArgumentError, match="stalemated"):
        load_panel(data=tiny_tables, unit="dispute-dyad-month", outcome="stalemate")
    with pytest.raises(ArgumentError, match="for unit='dyad-year'"):
        load_panel(data=tiny_tables, population="originators")
    with pytest.raises(ArgumentError, match="no rows in the future"):
        future_panel(months, year=2011)


def test_dispute_dyads_say_when_they_were_over(tiny_tables):
    rows = frame_of(load_panel(data=tiny_tables, unit="dispute-dyad")).set_index("conflict_id")
    assert rows.loc["c02", "end_year"] == 1996
    assert set(rows.loc["c04", "end_year"]) == {2000}
    assert rows.loc["c12", "end_year"] == 2010
