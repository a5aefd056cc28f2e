"""The historical data set, put together from the reference files through the real cache."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from support.reference_files import REFERENCE_FILES

from forecast.errors import ArgumentError, DataError, MissingFileError, UnknownNameError
from forecast.features.gather import FeatureRequest, feature_arrays
from forecast.features.registry import get_feature
from forecast.modeling.encoding import complete
from forecast.modeling.spec import load_model
from forecast.panel.build import load_panel
from forecast.panel.world import build_world
from forecast.sources import historical, stored
from forecast.sources.acquire import add
from forecast.sources.assembly import Sourced, assemble
from forecast.sources.codes import resolve_state, state_label
from forecast.sources.historical import load_historical
from forecast.sources.tables import EXTRA_TABLES, TABLES, Reading

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def core_cache(reference, tmp_path_factory):
    """The sources without dyad-years by the hundred thousand, which are slow to read anew."""
    cache = tmp_path_factory.mktemp("core-cache")
    for source in set(REFERENCE_FILES) - {"cow_igo_3", "min_distance", "vdem_16"}:
        add(source, [reference / name for name in REFERENCE_FILES[source]], cache=cache)
    return cache


@pytest.fixture(scope="session")
def tables(historical):
    """All sources of the reference folder."""
    return historical


def test_every_table_says_where_it_comes_from(tables):
    assert tables.name == "historical"
    assert set(TABLES) | set(tables.extra) == set(tables.coverage)
    assert set(tables.extra) == set(EXTRA_TABLES) - {"dyadic_trade", "polity"}
    years = {name: (c.first, c.last) for name, c in tables.coverage.items()}
    assert years["states"] == (1816, 2024)
    assert years["powers"] == years["contiguity"] == (1816, 2016)
    assert years["capabilities"] == (1816, 2022)
    assert years["conflicts"] == (1816, 2000)
    assert years["alliances"] == years["members"] == (1815, 2025)
    for cover in tables.coverage.values():
        assert cover.source
        assert cover.version
        assert cover.licence
    assert tables.coverage["conflicts"].version == "2.2.1"
    # ATOP 5.1 is there by ordered pairs and years only: the treaties are those of 4.01.
    assert tables.coverage["alliances"].version == "4.01"


def test_cuts_are_counted(tables):
    notes = "\n".join(tables.coverage["members"].notes)
    assert "spells shortened to the state system" in notes
    assert "alliances left out" in notes
    # The one copy of GML 2.2.1 that is there is an export of an R package: no hash to compare.
    (note,) = tables.coverage["conflicts"].notes
    assert note.startswith("gml_dirdisp.csv.gz: a copy whose content is not known to be that of")
    assert not any("a copy" in note for note in tables.coverage["contiguity"].notes)
    assert len(tables.conflicts) == 3039


def test_nothing_lies_outside_the_state_system(tables):
    from forecast.sources.checking import check_tables
    from forecast.sources.spells import uncovered

    check_tables({t: getattr(tables, t) for t in TABLES}, coverage=tables.coverage)
    for table in ("members", "powers"):
        assert not uncovered(getattr(tables, table), tables.states, on=["ccode"]).any()
    for side in ("ccode_a", "ccode_b"):
        own = tables.states.rename(columns={"ccode": side})
        assert not uncovered(tables.contiguity, own, on=[side]).any()


def test_capability_is_cinc(tables, reference):
    nmc = pd.read_csv(reference / "processed/cow_nmc.csv.gz").dropna(subset=["cinc"])
    both = tables.capabilities.merge(nmc, on=["ccode", "year"], suffixes=("", "_theirs"))
    assert len(both) == len(nmc)
    assert both["cinc"].equals(both["cinc_theirs"])
    inside = both["capability"].notna() & ~both["capability_floored"]
    assert inside.mean() > 0.95
    assert both.loc[inside, "capability"].equals(both.loc[inside, "cinc"])
    # Before the first index of a state at most three years are filled.
    filled = tables.capabilities["milex"].isna() & tables.capabilities["tpop"].isna()
    assert filled.mean() < 0.02


def test_contiguity_of_the_world_is_that_of_the_yearly_file(tables, reference):
    """Every pair and year, and every class: the smaller number where there are two."""
    theirs = pd.read_csv(reference / "official/cow_contiguity/contdird.csv")
    theirs = theirs.groupby(["year", "state1no", "state2no"])["conttype"].min()
    world = build_world(tables, first_year=1816, last_year=2016)
    kind = world["contiguity"].to_numpy()
    t, a, b = np.nonzero(kind)
    codes = world["state"].to_numpy()
    ours = pd.Series(kind[t, a, b], index=[world["year"].to_numpy()[t], codes[a], codes[b]])
    assert len(ours) == len(theirs)
    assert (ours.sort_index().to_numpy() == theirs.sort_index().to_numpy()).all()
    assert ours.sort_index().index.equals(theirs.sort_index().index)


def test_obligations_agree_with_the_directed_dyad_years(tables, reference):
    """Release 4.01 by member against 5.1 by ordered pair: defence, both states in the system."""
    theirs = pd.read_csv(reference / "processed/atop_alliance.csv.gz")
    theirs = theirs[(theirs["atop_defense"] == 1) & (theirs["year"] <= 2016)]
    theirs = set(zip(theirs["year"], theirs["ccode1"], theirs["ccode2"], strict=True))
    world = build_world(tables, first_year=1816, last_year=2016)
    owed = world["obligations"].sel(obligation="defense").to_numpy()
    t, a, b = np.nonzero(owed)
    codes = world["state"].to_numpy()
    years = world["year"].to_numpy()[t].tolist()
    ours = set(zip(years, codes[a].tolist(), codes[b].tolist(), strict=True))
    assert len(ours & theirs) / len(ours | theirs) > 0.95


@pytest.mark.parametrize(
    ("name", "year", "code"),
    [
        ("DEU", 1938, 255),
        ("DEU", 1970, 260),
        ("Hanover", 1850, 240),
        ("DEU", 2000, 255),
        ("USA", 1850, 2),
        ("Bavaria", 1860, 245),
        ("GBR", 1900, 200),
        ("Turkey", 1900, 640),
        ("Serbia", 1900, 345),
    ],
)
def test_states_have_their_usual_names(tables, name, year, code):
    assert resolve_state(tables, name, year=year) == code


# --------------------------------------------------------------------------- the seam of 2016


def test_alliances_are_carried_to_the_present(tables):
    nato = tables.members[tables.members["alliance_id"] == "atop-3180"]
    joined = nato[nato["start"].dt.year > 2016].set_index("ccode")["start"].dt.date.astype(str)
    assert joined.to_dict() == {343: "2020-03-27", 375: "2023-04-04", 380: "2024-03-07"}
    names = tables.alliances.set_index("alliance_id")["short_name"]
    assert names["atop-3180"] == "NATO"
    assert names.is_unique
    cover = tables.coverage["members"]
    assert (cover.amended_after, cover.last) == (2016, 2025)
    assert any("34 accessions" in note for note in cover.notes)
    world = build_world(tables, first_year=2010, last_year=2025)
    amended = world["amended"].to_numpy()
    assert (amended == (world["year"].to_numpy() > 2016)).all()


def test_the_seam_is_no_expansion(tables, historical_cache):
    """New defenders from 2017 on are the real accessions and treaties, and nobody else."""
    world = build_world(tables, first_year=2005, last_year=2020, carry_forward=True)
    request = FeatureRequest("new", "own_expansion", {"window": 1}, side="a")
    arrays = feature_arrays(world, [request])["new"].isel(other=0)
    gained = {year: arrays.sel(year=year).to_series() for year in (2017, 2019, 2020)}
    gained = {year: row[row > 0].to_dict() for year, row in gained.items()}
    # The only new pacts with defence: none in 2017; France and Germany renewed theirs in 2019;
    # in 2020 North Macedonia joined NATO, and Greece and the Emirates allied.
    assert gained[2017] == {}
    assert gained[2019] == {}
    members = set(world["state"].to_numpy()[
        world["treaty_member"].sel(year=2020, treaty="atop-3180").to_numpy()
    ].tolist())  # fmt: skip
    assert len(members) == 30
    allied = tables.members[tables.members["alliance_id"] == "atop-4400"]["ccode"]
    assert set(gained[2020]) == members | {696}
    assert gained[2020][343] == 29
    assert gained[2020][350] == 2
    assert not set(allied) & set(gained[2020])


def test_without_amendments_the_alliances_end_with_their_source(core_cache):
    plain = load_historical(cache=core_cache, amend=False)
    assert plain.coverage["members"].last == 2016
    assert plain.coverage["members"].amended_after is None
    assert not build_world(plain, first_year=2010, last_year=2016)["amended"].any()


# ------------------------------------------------------------------ one state list and the next


@pytest.mark.parametrize(
    "conflicts", ["gml_2_2_1", pytest.param("ucdp_acd_25_1", marks=pytest.mark.long)]
)
def test_panels_to_2016_do_not_depend_on_the_release_of_the_state_list(historical_cache, conflicts):
    """Release 2024 has Yugoslavia and Serbia as two spells that share a day: one membership."""
    spec = load_model("dyad_onset_historical")
    panels = []
    for release in ("cow_states_2024", "cow_states_2016"):
        sources = {"states": release, "conflicts": conflicts}
        data = load_historical(cache=historical_cache, sources=sources)
        panel = load_panel(data=data, years=(1947, 2016) if "ucdp" in conflicts else None)
        panels.append(complete(panel, (*spec.terms, *spec.smooths)))
    new, old = panels
    xr.testing.assert_identical(new.data, old.data)
    assert len(new.data.data_vars) > len(spec.terms)
    # Every other panel and feature is made from these arrays and from nothing else.
    worlds = [
        build_world(panel.tables, first_year=1816, last_year=2016, carry_forward=True)
        for panel in panels
    ]
    xr.testing.assert_equal(*(w.drop_vars(["name", "abbrev"]) for w in worlds))
    renamed = (worlds[0]["name"] != worlds[1]["name"]).to_series()
    assert renamed[renamed].index.tolist() == [345]
    if "ucdp" in conflicts:
        row = (new.data["ccode_a"] == 345) & (new.data["ccode_b"] == 355)
        row &= new.data["year"] == 2007
        assert new.data["peace_years"].to_numpy()[row].tolist() == [60]
        age = get_feature("state_age")(worlds[0]).sel(year=2006, state=345)
        assert float(age) == 62


def test_a_hand_over_is_told_and_names_both(tables):
    assert len(tables.states) == 243
    (note,) = tables.coverage["states"].notes
    assert note.startswith("1 spells joined to the one before")
    assert resolve_state(tables, "YUG", year=1950) == resolve_state(tables, "Serbia", year=2010)
    names = [state_label(tables, 345, year=year) for year in (1900, 1990, 2010)]
    assert names == ["Yugoslavia", "Yugoslavia", "Serbia"]


# ------------------------------------------------------------------------- choice of sources


def test_sources_can_be_chosen(core_cache):
    chosen = {"conflicts": "cow_mid_5_0", "alliances": "cow_alliances_4_1"}
    tables = load_historical(cache=core_cache, sources=chosen)
    assert tables.coverage["conflicts"].source.startswith("Correlates of War Militarized")
    assert tables.coverage["members"].source == tables.coverage["alliances"].source
    assert tables.coverage["members"].last == 2012
    # Only ATOP has counterparts for the amendments, and provisions of treaties.
    assert tables.coverage["members"].amended_after is None
    assert "treaty_design" not in tables.extra
    assert set(tables.extra["disputes"]["conflict_id"]) >= set(
        tables.conflicts["conflict_id"].str.replace(r"\.\d+$", "", regex=True)
    )


def test_interstate_conflicts_of_ucdp(core_cache, reference):
    """Gleditsch-Ward numbers become COW numbers; the panel has its own onsets."""
    tables = load_historical(cache=core_cache, sources={"conflicts": "ucdp_acd_25_1"})
    assert tables.coverage["conflicts"].licence == "CC BY 4.0"
    codes = set(tables.conflicts["ccode_a"]) | set(tables.conflicts["ccode_b"])
    assert codes <= set(tables.states["ccode"])
    assert (tables.conflicts["ccode_a"] < tables.conflicts["ccode_b"]).all()
    panel = load_panel(data=tables, population="all")
    assert panel.data["year"].to_numpy().min() == 1947
    assert panel.data["year"].to_numpy().max() == 2024
    raw = pd.read_csv(reference / "processed/ucdp_acd.csv.gz")
    interstate = raw[(raw["type_of_conflict"] == "interstate") & raw["year"].between(1947, 2024)]
    active = panel.world["dispute"].sel(year=slice(1947, 2024)).to_numpy().any(axis=(1, 2))
    years = set(panel.world["year"].sel(year=slice(1947, 2024)).to_numpy()[active].tolist())
    assert years == set(interstate["year"])
    assert 0 < panel.data["outcome"].sum() < len(interstate)
    # UCDP does not say who began: nothing directed is made up from it.
    with pytest.raises(DataError, match="do not say who began"):
        load_panel(data=tables, unit="directed-dyad-year")
    assert np.isnan(get_feature("reliability")(panel.world)).all()


@pytest.mark.parametrize(
    ("sources", "error", "message"),
    [
        ({"conflict": "gml_2_2_1"}, UnknownNameError, "Did you mean 'conflicts'"),
        ({"conflicts": "gml_2_2_2"}, MissingFileError, r"Not listed .*which has 2\.2\.1"),
        ({"conflicts": "atop_4_01"}, ArgumentError, "this source provides alliances"),
        ({"members": "atop_4_01", "alliances": "cow_alliances_4_1"}, ArgumentError, "same source"),
        ({"powers": "cow_majors_2024"}, MissingFileError, "forecast data get cow_majors_2024"),
        ({"alliances": "atop_5_1"}, MissingFileError, "alliances: the cache .* of atop_5_1, which"),
    ],
)
def test_bad_choices(historical_cache, sources, error, message):
    with pytest.raises(error, match=message):
        load_historical(cache=historical_cache, sources=sources)


def test_an_empty_cache_says_what_to_get(tmp_path):
    with pytest.raises(MissingFileError, match="forecast data get") as caught:
        load_historical(cache=tmp_path)
    for fact in ("states", "powers", "contiguity", "alliances", "members", "conflicts"):
        assert f"\n  {fact}: " in str(caught.value)


def test_load_panel_reads_the_cache(historical_cache, tables, monkeypatch):
    monkeypatch.setenv("FORECAST_DATA", str(historical_cache))
    panel = load_panel(data="historical", years=(1950, 1960))
    assert panel.tables.fingerprint == tables.fingerprint


# ------------------------------------------------------------------------------ kept on disk


def test_kept_tables_are_the_same(tables, historical_cache, monkeypatch):
    def fail(*args, **kwargs):
        pytest.fail("The tables were put together anew.")

    monkeypatch.setattr(historical, "_put_together", fail)
    again = load_historical(cache=historical_cache)
    assert again.fingerprint == tables.fingerprint
    assert again.coverage == tables.coverage
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(again, table), getattr(tables, table))
    for table, frame in tables.extra.items():
        pd.testing.assert_frame_equal(again.extra[table], frame)


def test_damaged_or_other_content_is_not_opened(tables, tmp_path):
    stored.save_tables(tmp_path, "k", tables)
    assert stored.open_tables(tmp_path, "other") is None
    assert stored.open_tables(tmp_path, "k").fingerprint == tables.fingerprint
    path = tmp_path / stored.FOLDER / "k" / "states.parquet"
    path.write_bytes(path.read_bytes()[:-8] + b"damaged!")
    assert stored.open_tables(tmp_path, "k") is None


def test_the_key_is_of_content(historical_cache, tmp_path):
    order = {"states": ("cow_states_2016",)}
    key = historical.key_of(historical_cache, order, amend=True)
    assert historical.key_of(historical_cache, order, amend=False) != key
    copy = tmp_path / "copy"
    shutil.copytree(historical_cache / "locks", copy / "locks")
    assert historical.key_of(copy, order, amend=True) == key
    lock = copy / "locks" / "cow_states_2016.json"
    text = lock.read_text()
    digest = historical.read_lock(copy, "cow_states_2016").files["states"].sha256
    lock.write_text(text.replace(digest, "0" * 64))
    assert historical.key_of(copy, order, amend=True) != key


# --------------------------------------------------------------------------------- assembly


def sourced(table, frame, code_system="cow", first=1990, last=2010):
    reading = Reading(table, frame, first, last, ("read",))
    return Sourced(reading, "Test", "1", "CC0", code_system)


def test_gleditsch_ward_conflicts_are_turned_and_counted(tiny_frames):
    """Unified Germany (260) is 255: the pair with 257 changes places, with all it says of sides."""
    states = tiny_frames["states"]
    for code, new in ((10, 255), (20, 257), (30, 365)):
        states.loc[states["ccode"] == code, "ccode"] = new
    states["start"] = np.datetime64("1950-01-01", "s")
    one = tiny_frames["conflicts"].iloc[[0, 1, 2, 3]].copy()
    one["ccode_a"], one["ccode_b"] = [257, 365, 711, 50], [260, 971, 800, 260]
    one.loc[one.index[0], ["initiator", "outcome", "role_a"]] = ["a", "victory_a", "joiner"]
    facts = {"states": sourced("states", states), "conflicts": sourced("conflicts", one, "gw")}
    frames, coverage = assemble(facts)
    left = frames["conflicts"]
    first = left.iloc[0]
    assert (first["ccode_a"], first["ccode_b"]) == (255, 257)
    assert (first["initiator"], first["outcome"]) == ("b", "victory_b")
    assert (first["role_a"], first["role_b"]) == ("originator", "joiner")
    assert left[["ccode_a", "ccode_b"]].to_numpy().tolist() == [[255, 257], [50, 255]]
    assert coverage["conflicts"].notes == (
        "read",
        "1 rows left out: their Gleditsch-Ward number has no COW number",
        "1 conflicts left out: the two were not in the state system on one day of their first year",
    )


def test_a_conflict_before_entry_is_left_out_and_counted(tiny_frames):
    conflicts = tiny_frames["conflicts"].iloc[[2, 3]].copy()
    # Cora entered on 1995-07-01: a conflict that began in May of that year is in its first year.
    conflicts["start"] = conflicts["start"].where(conflicts["conflict_id"] != "c03", "1995-05-01")
    conflicts["start"] = conflicts["start"].where(conflicts["conflict_id"] != "c04", "1994-05-01")
    conflicts["start"] = conflicts["start"].astype("datetime64[s]")
    facts = {
        "states": sourced("states", tiny_frames["states"]),
        "conflicts": sourced("conflicts", conflicts),
    }
    frames, coverage = assemble(facts)
    assert frames["conflicts"]["conflict_id"].tolist() == ["c03"]
    assert coverage["conflicts"].notes[1].startswith("1 conflicts left out")


def test_the_order_of_preference_skips_what_has_no_such_facts(tables):
    """A treaty design of another release is taken only if it speaks of the same treaties."""
    reading = Reading("treaty_design", tables.extra["treaty_design"], 1815, 2018)
    facts = {"alliances": sourced("alliances", tables.alliances)}
    assert historical._fits("treaty_design", reading, facts)
    other = tables.alliances.assign(alliance_id="cow-" + tables.alliances["alliance_id"])
    facts = {"alliances": sourced("alliances", other)}
    assert not historical._fits("treaty_design", reading, facts)
    nothing = replace(reading, frame=reading.frame.iloc[:0])
    assert not historical._fits("treaty_design", nothing, facts)
