"""Rows of disputes and of alliances in the tiny world, checked by eye."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast.errors import ArgumentError
from forecast.panel.build import future_panel, load_panel
from forecast.sources.embedded import tables_from_frames


def frame_of(panel):
    return panel.data.to_dataframe().reset_index(drop=True)


# ------------------------------------------------------------------------------- dispute-dyads


@pytest.fixture(scope="module")
def disputes(tiny_tables):
    """All dyads of disputes of the tiny world."""
    return load_panel(data=tiny_tables, unit="dispute-dyad")


def test_one_row_for_each_dyad_of_a_dispute(disputes, tiny_tables):
    rows = frame_of(disputes)
    begun = tiny_tables.conflicts["start"].dt.year >= 1991
    assert len(rows) == begun.sum() == 12
    keys = ["year", "ccode_a", "ccode_b", "conflict_id"]
    assert rows[keys].equals(rows[keys].sort_values(keys))
    # The war of three dyads is two rows: 50 joined a month later.
    war = rows[rows["conflict_id"] == "c04"]
    assert war[["ccode_a", "ccode_b"]].to_numpy().tolist() == [[30, 40], [30, 50]]
    assert war["role_b"].tolist() == ["originator", "joiner"]
    assert war["duration"].tolist() == [428.0, 397.0]
    assert disputes.population == "all"
    assert disputes.outcome == "escalation_to_war"


def test_escalation(tiny_tables, disputes):
    by_id = frame_of(disputes).groupby("conflict_id")["outcome"].first()
    assert by_id[by_id == 1].index.tolist() == ["c02", "c04"]
    # c12 still runs and is no war yet.
    assert by_id[by_id.isna()].index.tolist() == ["c12"]
    fatal = load_panel(data=tiny_tables, unit="dispute-dyad", outcome="escalation_to_fatality")
    by_id = frame_of(fatal).groupby("conflict_id")["outcome"].first()
    assert by_id[by_id == 1].index.tolist() == ["c02", "c03", "c04", "c07", "c10"]
    # c08: deaths unknown.
    assert by_id[by_id.isna()].index.tolist() == ["c08", "c12"]
    assert fatal.data.attrs["rows_outcome_unknown"] == 2


def test_a_running_dispute_is_censored(disputes):
    rows = frame_of(disputes).set_index("conflict_id")
    assert rows.loc["c12", "censored"] == 1
    assert rows.loc["c12", "duration"] == 31.0
    assert rows.loc["c12", "duration_exact"] == 0
    assert rows["censored"].sum() == disputes.data.attrs["rows_censored"] == 1
    assert rows.loc["c06", "duration"] == 3.0
    assert rows.loc["c06", "duration_exact"] == 1
    assert rows.loc["c06", "initiator"] == "b"
    assert np.isnan(rows.loc["c08", "deaths_class"])
    assert rows["reciprocated"].isna().all()


def test_reciprocation_comes_from_the_disputes(tiny_tables):
    known = pd.DataFrame(
        {
            "conflict_id": ["c02", "c03", "c06"],
            "reciprocated": pd.array([1, 0, None], dtype="Int64"),
        }
    )
    tables = replace(tiny_tables, extra={"disputes": known})
    rows = frame_of(load_panel(data=tables, unit="dispute-dyad")).set_index("conflict_id")
    assert rows.loc["c02", "reciprocated"] == 1
    assert rows.loc["c03", "reciprocated"] == 0
    assert rows["reciprocated"].isna().sum() == len(rows) - 2


def test_dispute_dyads_of_a_population(tiny_tables, disputes):
    relevant = load_panel(data=tiny_tables, unit="dispute-dyad", population="politically_relevant")
    left_out = set(disputes.data["conflict_id"].to_numpy()) - set(
        relevant.data["conflict_id"].to_numpy()
    )
    assert left_out == {"c08"}
    assert relevant.data.attrs["onsets_outside_population"] == 1


def test_disputes_have_no_future(disputes):
    with pytest.raises(ArgumentError, match="no rows in the future"):
        future_panel(disputes, year=2011)


# ------------------------------------------------------------------------------ alliance-years


@pytest.fixture(scope="module")
def alliances(tiny_tables):
    """All treaties of the tiny world in the years in which they bind two states."""
    return load_panel(data=tiny_tables, unit="alliance-year")


def test_one_row_for_each_treaty_in_force(alliances):
    rows = frame_of(alliances)
    years = rows.groupby("alliance_id")["year"].agg(list)
    assert years["north-pact"] == list(range(1991, 2011))
    # Fyra was no state in 1999 and 2000.
    assert years["bela-fyra"] == [1996, 1997, 1998, *range(2001, 2011)]
    assert years["eron-dara"] == list(range(1992, 2004))
    north = rows[rows["alliance_id"] == "north-pact"].set_index("year")
    # Cora joined in 2000, Bela left in 2006.
    assert north["members"].loc[[1999, 2000, 2006, 2007]].tolist() == [3, 4, 4, 3]
    assert (north["short_name"] == "North Pact").all()
    assert alliances.population == "all"


def test_onsets_of_members_with_outsiders(alliances):
    rows = frame_of(alliances).set_index(["alliance_id", "year"])
    north = rows.loc["north-pact"]
    # 20-30 in 1997 and 30-50 in 1999: Cora was outside until 2000.
    assert north["onsets"].loc[[1997, 1999]].tolist() == [1, 1]
    assert north["onsets_begun_by_member"].loc[[1997, 1999]].tolist() == [1, 0]
    # 10-20 in 1994 and both of 10-50 in 2001 were between members.
    assert north["outcome"].loc[[1994, 2001]].tolist() == [0.0, 0.0]
    assert north["onsets_between_members"].loc[[1994, 2001]].tolist() == [1, 2]
    # 10-60 in 2002; 20-50 in 2010, when Bela had left.
    assert north["onsets"].loc[[2002, 2010]].tolist() == [1, 1]
    # One war of 1999, in which Dara (30-40) and Eron (30-50) fought: one conflict, two onsets.
    guarantee = rows.loc["eron-dara"].loc[1999]
    assert (guarantee["onsets"], guarantee["conflicts"]) == (2, 1)
    # Dara began the one with Cora; who began that of Eron is not clear.
    assert guarantee["onsets_begun_by_member"] == 1
    assert ((rows["outcome"] == 1) == (rows["onsets"] > 0)).all()


def test_every_onset_is_accounted_for(alliances, disputes):
    attrs = alliances.data.attrs
    assert attrs["onsets_total"] == attrs["episodes"] == disputes.data.sizes["row"]
    # 10-20 in 1994: both in the only treaty of either. (10-50 in 2001 are in one treaty, but 10
    # is an outsider to the other one of 50.)
    assert attrs["onsets_outside_population"] == 1


def test_unknown_deaths_leave_the_row_out(tiny_tables):
    panel = load_panel(data=tiny_tables, unit="alliance-year", outcome="fatal_onset")
    rows = frame_of(panel).set_index(["alliance_id", "year"])
    # 10-60 in 2002: an outsider for the North Pact and for Bela-Fyra.
    assert ("north-pact", 2002) not in rows.index
    assert ("bela-fyra", 2002) not in rows.index
    assert panel.data.attrs["rows_dropped_unknown"] == 2


def test_future_alliances(alliances):
    rows = frame_of(future_panel(alliances, year=2012))
    assert rows["alliance_id"].tolist() == ["bela-fyra", "north-pact"]
    assert rows["outcome"].isna().all()
    assert "onsets" not in rows
    assert rows["members"].tolist() == [2, 3]


def test_embedded_alliances(tables):
    panel = load_panel(data=tables, unit="alliance-year")
    rows = frame_of(panel)
    nato = rows[rows["alliance_id"] == "nato"].set_index("year")
    assert nato["members"].loc[[1950, 2024]].tolist() == [12, 32]
    assert panel.data.attrs["onsets_in_population"] > 0
    assert 0 < rows["outcome"].mean() < 1


def test_order_of_input_rows_does_not_matter(tiny_frames, tiny_coverage, alliances, disputes):
    shuffled = {
        name: frame.sample(frac=1, random_state=1).reset_index(drop=True)
        for name, frame in tiny_frames.items()
    }
    tables = tables_from_frames(shuffled, coverage=tiny_coverage, name="tiny")
    for known in (alliances, disputes):
        again = load_panel(data=tables, unit=known.unit)
        assert frame_of(again).equals(frame_of(known))
