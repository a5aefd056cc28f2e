"""Known totals of the field, from the reference files through readers, cache and panel."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast.panel.build import load_panel
from forecast.panel.rows import rows_by
from forecast.panel.world import build_world
from forecast.sources.spells import expand_years, span_years

pytestmark = pytest.mark.reference

YEARS = (1816, 2000)


def pairs(table, onset=None):
    """Unordered dyad-years of a processed table of directed dyad-years."""
    keep = table["ccode1"] < table["ccode2"]
    if onset is not None:
        keep &= table[onset] == 1
    columns = ["year", "ccode1", "ccode2"]
    return set(map(tuple, table.loc[keep, columns].to_numpy().tolist()))


def onsets(panel):
    """Dyad-years with an onset."""
    rows = panel.data.isel(row=panel.data["outcome"].to_numpy() == 1)
    names = ("year", "ccode_a", "ccode_b")
    return set(zip(*(rows[n].to_numpy().tolist() for n in names), strict=True))


def test_directed_dyads_of_every_year(historical, reference):
    """All years exactly, 2,214,930 in sum, with the state list of 2016 carried to 2024."""
    counts = pd.read_csv(reference / "processed/cow_ddy_counts_by_year.csv.gz").set_index("year")
    world = build_world(historical, first_year=1816, last_year=2024, carry_forward=True)
    ours = world["together"].sum(["state", "other"]).to_series()
    assert (ours == counts["directed_dyads"]).all()
    assert ours.sum() == 2_214_930
    assert ours.loc[[1816, 1914, 1950, 2014]].tolist() == [506, 1980, 5550, 37830]
    assert (world["member"].sum("state").to_series() == counts["states"]).all()


def test_all_dyad_years(historical, reference):
    """656,500 ± 0.2 percent without continuing years, 2,845 GML onsets."""
    every = load_panel(data=historical, population="all", years=YEARS)
    panel = rows_by(every, "convention")
    assert panel.data.sizes["row"] == 656_512
    assert abs(panel.data.sizes["row"] / 656_500 - 1) < 0.002
    assert panel.data["outcome"].sum() == 2_845
    # 4,280 dyad-years have a dispute of GML; in 1,435 of them it merely continues.
    assert every.data.sizes["row"] - panel.data.sizes["row"] == 4_280 - 2_845
    attrs = every.data.attrs
    assert (attrs["rows_under_way"], attrs["onsets_under_way"]) == (4_280 - 2_845 + 205, 205)
    processed = pd.read_csv(reference / "processed/gml_mid_ddydisps.csv.gz")
    assert onsets(panel) == pairs(processed, "gmlmidonset")
    # The first year with lagged features is the second.
    lagged = load_panel(data=historical)
    assert lagged.data["year"].to_numpy().min() == 1817
    assert lagged.data["outcome"].sum() == 2_844


def test_politically_relevant_dyads(historical):
    """By the five official classes of contiguity, and majors."""
    every = load_panel(data=historical, population="politically_relevant", years=YEARS)
    panel = rows_by(every, "convention")
    assert panel.data.sizes["row"] == 93_296
    assert panel.data["outcome"].sum() == every.data["outcome"].sum() == 2_400
    assert every.data.sizes["row"] == 94_404
    assert every.data.attrs["onsets_outside_population"] == 2_845 - 2_400


def test_what_the_convention_selects(historical):
    """Of 544 pair-years under way in 1960-2000 it keeps the 104 with an onset, and no other."""
    counts = {
        rule: load_panel(
            data=historical, population="politically_relevant", years=(1960, 2000), under_way=rule
        ).data
        for rule in ("stratum", "drop", "convention")
    }
    rows = {rule: data.sizes["row"] for rule, data in counts.items()}
    onsets = {rule: int(data["outcome"].sum()) for rule, data in counts.items()}
    assert rows == {"stratum": 49_469, "drop": 49_469 - 544, "convention": 49_469 - 544 + 104}
    assert onsets == {"stratum": 1_130, "drop": 1_130 - 104, "convention": 1_130}


def test_the_widely_quoted_total_counts_gaps_as_contiguity(historical, reference):
    """94,500 with 2,428 onsets: rows of type 0 ("not contiguous") taken for contiguity.

    The R package's table fills the gaps between spells of a pair with type 0. Whoever counts
    any row as contiguity gets 1,232 more dyad-years, and exactly the total that is quoted.
    """
    theirs = pd.read_csv(reference / "processed/cow_contdir.csv.gz", parse_dates=["stdate"])
    theirs = theirs[(theirs["ccode1"] < theirs["ccode2"]) & (theirs["conttype"] == 0)]
    spells = pd.DataFrame(
        {
            "ccode_a": theirs["ccode1"],
            "ccode_b": theirs["ccode2"],
            "type": 5,
            "start": theirs["stdate"].astype("datetime64[s]"),
            "end": pd.to_datetime(theirs["enddate"]).astype("datetime64[s]"),
            "note": pd.array(["gap"] * len(theirs), dtype="str"),
        }
    )
    wide = replace(historical, contiguity=pd.concat([historical.contiguity, spells]))
    panel = load_panel(
        data=wide, population="politically_relevant", years=YEARS, under_way="convention"
    )
    assert panel.data.sizes["row"] == 94_528
    assert panel.data["outcome"].sum() == 2_428


def test_lagging_costs_few_rows(historical):
    """Rows whose two states were both in the system the year before: every feature is known."""
    panel = load_panel(data=historical, population="politically_relevant")
    world, data = panel.world, panel.data
    member = world["member"].to_numpy()
    at = data["year"].to_numpy() - 1 - int(world["year"][0])
    codes = world["state"].to_numpy()
    a, b = (np.searchsorted(codes, data[c].to_numpy()) for c in ("ccode_a", "ccode_b"))
    before = member[at, a] & member[at, b]
    assert 0.95 < before.mean() < 1
    lost = int(data["outcome"].to_numpy()[~before].sum())
    assert 0 < lost < 60


def test_every_gml_dispute_is_a_row(historical):
    panel = load_panel(data=historical, unit="dispute-dyad", years=YEARS)
    assert panel.data.sizes["row"] == len(historical.conflicts) == 3_039
    wars = load_panel(data=historical, population="all", outcome="war_onset", years=YEARS)
    rows = panel.data.to_dataframe()
    rows = rows[rows["outcome"] == 1]
    assert len(rows) == wars.data.attrs["episodes"]
    keys = rows[["year", "ccode_a", "ccode_b"]].drop_duplicates()
    assert len(keys) == wars.data["outcome"].sum()


@pytest.fixture(scope="module")
def cow(historical_cache, historical):
    """The same tables with the conflicts of COW MID 5.0."""
    chosen = {"conflicts": "cow_mid_5_0"}
    from forecast.sources.assembly import assemble
    from forecast.sources.catalogue import read_source
    from forecast.sources.embedded import finish_tables
    from forecast.sources.historical import sourced
    from forecast.sources.tables import TABLES

    # Only the conflicts differ: nothing else is read anew.
    reading = next(
        r for r in read_source(chosen["conflicts"], historical_cache) if r.table == "conflicts"
    )
    facts = {"conflicts": sourced(chosen["conflicts"], reading)}
    states = replace(facts["conflicts"], reading=replace(reading, frame=historical.states))
    frames, coverage = assemble({"states": states, **facts})
    known = {t: getattr(historical, t) for t in TABLES}
    known["capabilities"] = known["capabilities"].drop(columns=["capability", "capability_floored"])
    return finish_tables(
        {**known, "conflicts": frames["conflicts"]},
        coverage={**historical.coverage, "conflicts": coverage["conflicts"]},
        name="cow",
    )


#: Canada against Russia, 1918: listed two years before Canada entered the state system.
BEFORE_ENTRY = {(1918, 20, 365), (1919, 20, 365)}


def test_cow_disputes(cow, reference):
    """The counts of the processed table, to 2000, but for one pair that is no pair of states."""
    table = pd.read_csv(reference / "processed/cow_mid_ddydisps.csv.gz")
    table = table[table["year"] <= 2000]
    panel = load_panel(data=cow, population="all", years=YEARS)
    assert len(pairs(table, "cowmidonset")) == 2_973
    assert onsets(panel) == pairs(table, "cowmidonset") - BEFORE_ENTRY
    dispute = panel.world["dispute"].sel(year=slice(*YEARS)).to_numpy()
    t, a, b = np.nonzero(dispute)
    codes = panel.world["state"].to_numpy()
    active = {(t + YEARS[0], x, y)
              for t, x, y in zip(t.tolist(), codes[a].tolist(), codes[b].tolist(), strict=True)
              if x < y}  # fmt: skip
    assert len(pairs(table)) == 4_483
    assert active == pairs(table) - BEFORE_ENTRY
    assert any(note.startswith("1 conflicts left out") for note in cow.coverage["conflicts"].notes)


def test_levels_of_cow_disputes(cow, reference):
    """Level by level: a dyad-year of the processed table holds one of its disputes only."""
    table = pd.read_csv(reference / "processed/cow_mid_ddydisps.csv.gz")
    table = table[(table["year"] <= 2000) & (table["cowmidonset"] == 1)]
    for outcome, level, theirs in (("force_onset", 4, 2_289), ("war_onset", 5, 514)):
        listed = pairs(table[table["hostlev"] >= level])
        assert len(listed) == theirs
        ours = onsets(load_panel(data=cow, population="all", outcome=outcome, years=YEARS))
        assert listed - BEFORE_ENTRY <= ours
        # Ours has those besides whose dyad began another, lesser dispute in the same year.
        assert len(ours - listed) < 0.05 * len(ours)


def test_alliance_years(historical):
    """One row per treaty and year between its first and last year with two members."""
    panel = load_panel(data=historical, unit="alliance-year", years=YEARS)
    rows = panel.data.to_dataframe()
    assert not rows.duplicated(["year", "alliance_id"]).any()
    members = historical.members
    row, year = expand_years(*span_years(members), window=YEARS)
    counted = (
        pd.DataFrame({"year": year, "alliance_id": members["alliance_id"].to_numpy()[row],
                      "ccode": members["ccode"].to_numpy()[row]})
        .drop_duplicates().groupby(["year", "alliance_id"]).size()
    )  # fmt: skip
    counted = counted[counted >= 2]
    assert len(rows) == len(counted)
    assert (rows.set_index(["year", "alliance_id"])["members"] == counted).all()
