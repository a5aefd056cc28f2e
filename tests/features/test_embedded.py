"""Features on the embedded data set against well-known history."""

import numpy as np
import pytest
import xarray as xr

from forecast.features import (
    FeatureRequest,
    arrays,
    compute_features,
    expansion,
    get_feature,
    treaty_features,
)
from forecast.features.registry import registered_features
from forecast.panel.build import load_panel
from forecast.panel.world import build_world

USA, CANADA, UK, FRANCE, GFR, GERMANY, GDR, POLAND, ALBANIA = (
    2,
    20,
    200,
    220,
    260,
    255,
    265,
    290,
    339,
)
GREECE, TURKEY, RUSSIA, NORWAY, ICELAND, JAPAN = 350, 640, 365, 385, 395, 740
AUSTRALIA, NEW_ZEALAND, SPAIN, FINLAND, SWEDEN = 900, 920, 230, 375, 380
FOUNDERS = {USA, CANADA, UK, 210, 211, 212, FRANCE, 235, 325, NORWAY, 390, ICELAND}


@pytest.fixture(scope="module")
def world(tables) -> xr.Dataset:
    return build_world(tables)


def series(world, name, *codes, **options):
    found = get_feature(name)(world, **options)
    return found.sel(dict(zip(found.dims[1:], codes, strict=True))).to_series()


@pytest.fixture(scope="module")
def allies(world):
    """D(i) of a state in a year, as a set of codes."""
    ties = arrays.defenders(world) > 0
    first, codes = int(world["year"][0]), world["state"].to_numpy()

    def of(code, year) -> set[int]:
        row = ties[year - first, np.searchsorted(codes, code)]
        return set(codes[row].tolist())

    return of


def test_nato_enlargement_as_norway_saw_it(world, allies):
    assert allies(NORWAY, 1948) == set()
    assert allies(NORWAY, 1949) == FOUNDERS - {NORWAY}
    grew = series(world, "own_expansion", NORWAY, window=1)
    expected = {
        1949: 11,
        1952: 2,
        1955: 1,
        1982: 1,
        1999: 3,
        2004: 7,
        2009: 2,
        2017: 1,
        2020: 1,
        2023: 1,
        2024: 1,
    }
    assert grew[grew > 0].to_dict() == expected
    accession = series(world, "expansion_by_accession", NORWAY, window=1)
    succession = series(world, "expansion_by_succession", NORWAY, window=1)
    formation = series(world, "expansion_by_formation", NORWAY, window=1)
    assert formation[1949] == 11
    assert accession[1952] == 2  # Greece and Turkey
    assert accession[1999] == 3
    # West Germany entered the system, sovereign, in the week in which it joined.
    assert (succession[1955], accession[1955]) == (1, 0)
    assert (series(world, "own_contraction", NORWAY, window=1).dropna() == 0).all()
    assert allies(NORWAY, 1990) == FOUNDERS - {NORWAY} | {GREECE, TURKEY, GERMANY, SPAIN}
    assert len(allies(NORWAY, 2024)) == 31


def test_five_years_after_german_unification_nobody_gained_germany(world):
    codes = list(world["state"].to_numpy())
    years = world["year"].to_numpy()
    for window in (1, 3, 5, 10):
        new, _ = expansion.gained(world, window)
        gone, _ = expansion.lost(world, window)
        for code in FOUNDERS | {GREECE, TURKEY}:
            for year in range(1990, 1999):
                t, i = year - years[0], codes.index(code)
                assert not new[t, i, codes.index(GERMANY)], (code, year, window)
                assert not gone[t, i, codes.index(GFR)], (code, year, window)
        # Nor did the Arab League (here Jordan) gain the unified Yemen, or lose the two it had.
        for year in range(1990, 2000):
            t, i = year - years[0], codes.index(663)
            assert not new[t, i, codes.index(679)]
            assert not gone[t, i, [codes.index(678), codes.index(680)]].any()
    found = treaty_features(world)["expansion"].sel(treaty="nato")
    assert (found.sel(year=slice(1990, 1998)) == 0).all()
    assert found.sel(year=2003) == 3  # since 1998
    assert found.sel(year=2004) == 7  # since 1999, when the three had joined


def test_france_is_in_nato_throughout(allies):
    for year in range(1949, 2026):
        assert USA in allies(FRANCE, year), year
        assert FRANCE in allies(USA, year), year


def test_warsaw_pact(world, allies):
    members = {GDR, POLAND, 310, 315, ALBANIA, 355, 360}
    assert members <= allies(RUSSIA, 1956)
    assert ALBANIA in allies(RUSSIA, 1968)
    assert ALBANIA not in allies(RUSSIA, 1969)
    in_force = treaty_features(world)["in_force"].sel(treaty="warsaw-pact").to_series()
    assert in_force[in_force].index.tolist() == list(range(1955, 1992))
    assert not members & allies(RUSSIA, 1993)
    assert series(world, "own_contraction", RUSSIA, window=5)[1993] >= 6


def test_nato_reaches_russia(world):
    reached = series(world, "frontier_expansion", RUSSIA, NORWAY, window=1)
    since = reached.loc[1992:]
    assert since[since > 0].to_dict() == {1999: 1, 2004: 3, 2023: 1}  # Poland, Baltics, Finland
    assert series(world, "frontier_expansion", NORWAY, RUSSIA, window=1).loc[1992:].max() == 0


def test_anzus(world, allies):
    assert {USA, AUSTRALIA} <= allies(NEW_ZEALAND, 1986)
    assert USA not in allies(NEW_ZEALAND, 1987)
    assert AUSTRALIA in allies(NEW_ZEALAND, 1987)
    assert USA in allies(AUSTRALIA, 2025)
    assert series(world, "own_contraction", NEW_ZEALAND, window=1)[1987] >= 1


def test_japan_is_owed_and_owes_not(world):
    assert (series(world, "asymmetry", USA, JAPAN).loc[1961:2025] == 1).all()
    assert (series(world, "commitment_balance", JAPAN).loc[1961:2025] > 0).all()
    assert (series(world, "commitment_balance", USA).loc[1961:2025] < 0).all()
    assert (series(world, "pact_in_dyad", JAPAN, USA).loc[1961:2025] == 1).all()


def test_iceland_depends_on_its_patron(world):
    for year in (1960, 1990, 2020):
        patron = series(world, "patron_share", ICELAND)[year]
        external = series(world, "external_share", ICELAND)[year]
        assert 0.3 < patron < external
        assert external > 0.99


def test_obligations_are_those_of_the_treaties(world):
    """The pairwise and the treaty-level half of the world tell the same story."""
    for obligation in world["obligation"].to_numpy():
        every = np.ones((world.sizes["year"], world.sizes["treaty"]), dtype=bool)
        through = arrays.treaty_ties(world, every, str(obligation))
        owed = world["obligations"].sel(obligation=obligation).to_numpy().transpose(0, 2, 1)
        np.testing.assert_array_equal(through, owed)


@pytest.mark.parametrize("feature", registered_features(), ids=lambda f: f.name)
def test_bounds_on_real_data(world, feature):
    values = feature(world).to_numpy()
    known = values[~np.isnan(values)]
    if feature.needs & {"regime", "polity", "troops", "trade", "igo", "distance"}:
        assert not known.size  # the embedded data have no such table
        return
    assert known.size > 1000 or feature.level == "system"
    low, high = feature.bounds
    assert low is None or known.min() >= low - 1e-6
    assert high is None or known.max() <= high + 1e-6
    # In the last year every source covers, a member has a value unless it is undefined for it.
    last = -1
    if "neutrality" in feature.needs:
        last = int(np.flatnonzero(world["neutrality_covered"].to_numpy())[-1])
        assert np.isnan(values[last + 1 :]).all()
    assert not np.isnan(values[last]).all()


def test_capability_is_never_missing_for_an_ally(world):
    """A gap would make the dependency of every ally missing."""
    member = world["member"].to_numpy() & world["capability_covered"].to_numpy()[:, None]
    external = get_feature("external_share")(world).to_numpy()
    assert not np.isnan(external[member]).any()


def test_panel_of_real_rows(tables):
    panel = load_panel(data=tables, population="politically_relevant", years=(1995, 2005))
    requests = [
        FeatureRequest("grew", "own_expansion", {}, "max"),
        FeatureRequest("pact", "pact_in_dyad"),
        FeatureRequest("peace", "peace_years"),
    ]
    data = compute_features(panel, requests).data
    row = (data["year"] == 2005) & (data["ccode_a"] == USA) & (data["ccode_b"] == NORWAY)
    assert data["grew"].to_numpy()[row.to_numpy()].item() >= 7
    assert data["pact"].to_numpy()[row.to_numpy()].item() == 1
    # Missing only where a state entered the system in the year of the row.
    entered = data["grew"].isnull()
    assert float(entered.mean()) < 0.01
    assert not data["peace"].isnull().any()
