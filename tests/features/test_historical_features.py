"""Every feature on two centuries of real data, and the hand cases that must hold there."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.metrics import cohen_kappa_score

from forecast.features import arrays, get_feature
from forecast.features.registry import registered_features
from forecast.features.similarity import portfolios
from forecast.panel.world import build_world

pytestmark = pytest.mark.reference

FIRST, LAST = 1816, 2014
USA, UK, BELGIUM, FRANCE, GERMANY, GFR, GDR, RUSSIA = 2, 200, 211, 220, 255, 260, 265, 365
FOUNDERS = {2, 20, 200, 210, 211, 212, 220, 235, 325, 385, 390, 395}
GREECE, TURKEY = 350, 640
WARSAW = {GDR, 290, 310, 315, 339, 355, 360, RUSSIA}


@pytest.fixture(scope="module")
def world(historical) -> xr.Dataset:
    return build_world(historical, first_year=FIRST, last_year=LAST)


@pytest.fixture(scope="module")
def allies(world):
    """D(i) in a year, as codes."""
    ties, codes = arrays.defenders(world) > 0, world["state"].to_numpy()

    def of(code: int, year: int) -> set[int]:
        return set(codes[ties[year - FIRST, np.searchsorted(codes, code)]].tolist())

    return of


def series(world, name, *codes, **options) -> pd.Series:
    found = get_feature(name)(world, **options)
    return found.sel(dict(zip(found.dims[1:], codes, strict=True))).to_series()


@pytest.mark.parametrize("feature", registered_features(), ids=lambda f: f.name)
def test_bounds_on_two_centuries(world, feature):
    values = feature(world).to_numpy()
    known = values[~np.isnan(values)]
    if not known.size:
        assert feature.needs & {"trade", "polity"}  # the reference folder has no dyadic trade
        return
    low, high = feature.bounds
    assert low is None or known.min() >= low - 1e-6
    assert high is None or known.max() <= high + 1e-6
    assert not np.isinf(values).any()
    if feature.level == "dyad":
        np.testing.assert_array_equal(values, values.transpose(0, 2, 1))


def test_belgium_and_france_pledge_one_way(allies):
    assert FRANCE in allies(BELGIUM, 1832)
    assert BELGIUM not in allies(FRANCE, 1832)


def test_nato(allies):
    assert allies(385, 1949) == FOUNDERS - {385}  # Norway
    # Greece and Turkey signed in 1951; the protocol entered into force in February 1952.
    assert {GREECE, TURKEY} <= allies(385, 1952)
    assert not {GREECE, TURKEY} & allies(385, 1950)
    assert GFR in allies(USA, 1955) and GFR not in allies(USA, 1954)
    assert all(USA in allies(FRANCE, year) for year in range(1949, LAST + 1))


def test_germany_is_one_ally_and_no_expansion(world, allies):
    assert GFR in allies(385, 1989) and GERMANY in allies(385, 1991)
    assert GERMANY not in allies(385, 1989)
    for window in (1, 3, 5, 10):
        grew = series(world, "own_expansion", 385, window=window)
        assert (
            grew.loc[1990:1993] == series(world, "own_expansion", 390, window=window).loc[1990:1993]
        ).all()
    assert series(world, "own_expansion", 385, window=1)[[1990, 1991]].tolist() == [0, 0]


def test_warsaw_pact(allies):
    for year in range(1955, 1968):
        assert WARSAW - {RUSSIA} <= allies(RUSSIA, year), year
    assert GDR not in allies(RUSSIA, 1991)


def test_anzus(allies):
    assert {USA, 900} <= allies(920, 1952)
    assert USA in allies(900, LAST)


def test_occupation_ends_a_spell_and_clocks_restart(world):
    """France is out of the system from November 1942 to August 1944 (COW)."""
    member = world["member"].sel(state=FRANCE).to_series()
    assert not member[1943] and member[1942] and member[1944]
    assert series(world, "external_share", FRANCE).loc[1943:1943].isna().all()
    assert series(world, "peace_years", FRANCE, 225)[1944] == 0  # Switzerland
    assert series(world, "disputes_total", FRANCE, RUSSIA)[1944] == 0
    assert series(world, "rivalry", FRANCE, UK).isna()[1943]


def test_rivals_organisations_and_distance_are_those_of_their_sources(world, historical, reference):
    listed = historical.extra["rivalries"]
    rival = get_feature("rivalry")(world, rivals="strategic")
    for row in listed.sample(40, random_state=1).itertuples():
        years = range(
            max(row.start.year, FIRST), min(2000, row.end.year if pd.notna(row.end) else LAST) + 1
        )
        both = world["together"].sel(state=row.ccode_a, other=row.ccode_b).to_series()
        found = rival.sel(state=row.ccode_b, other=row.ccode_a).to_series()
        held = [year for year in years if both[year]]
        assert (found[held] == 1).all(), row.rivalry_id
    raw = pd.read_csv(reference / "processed/cow_igo_ndy.csv.gz").sample(300, random_state=2)
    number = get_feature("joint_igos")(world, scale="count")
    for a, b, year, count in raw[["ccode1", "ccode2", "year", "dyadigos"]].itertuples(index=False):
        if year <= LAST and {a, b} <= set(world["state"].to_numpy()):
            got = float(number.sel(year=year, state=b, other=a))
            together = bool(world["together"].sel(year=year, state=a, other=b))
            assert got == count if together and count >= 0 else np.isnan(got)
    raw = pd.read_csv(reference / "processed/cow_mindist.csv.gz").sample(300, random_state=3)
    far = get_feature("distance")(world)
    for a, b, year, km in raw[["ccode1", "ccode2", "year", "mindist"]].itertuples(index=False):
        if year <= LAST and bool(world["together"].sel(year=year, state=a, other=b)):
            assert float(far.sel(year=year, state=a, other=b)) == pytest.approx(
                np.log1p(km), rel=1e-5
            )


@pytest.mark.parametrize("year", [1830, 1914, 1939])
def test_portfolio_similarity_before_the_embedded_data(world, year):
    ranks = portfolios(world)[year - FIRST].astype(int)
    inside = np.flatnonzero(world["member"].to_numpy()[year - FIRST])
    kappa = get_feature("portfolio_similarity")(world, measure="kappa").sel(year=year).to_numpy()
    pick = np.random.default_rng(year).choice(inside, (60, 2))
    for i, j in pick[pick[:, 0] != pick[:, 1]]:
        x, y = ranks[i, inside], ranks[j, inside]
        expected = cohen_kappa_score(x, y, labels=range(4), weights="quadratic")
        assert kappa[i, j] == pytest.approx(expected, abs=2e-6)


def test_blocs_of_the_cold_war(world):
    """Two blocs divide the system more than the wars of unification did."""
    found = get_feature("polarization")(world).to_series()
    assert found.loc[1955:1989].mean() > found.loc[1860:1870].mean()
    similar = series(world, "portfolio_similarity", USA, UK, measure="kappa")
    apart = series(world, "portfolio_similarity", USA, RUSSIA, measure="kappa")
    assert (similar.loc[1950:1990] > apart.loc[1950:1990]).all()


def test_past_the_coverage_is_missing(world, historical):
    last = historical.coverage["conflicts"].last
    for name in ("rivalry", "reliability", "structural_balance", "peace_years"):
        values = get_feature(name)(world).sel(year=slice(last + 1, None))
        assert np.isnan(values).all(), name
    assert np.isnan(get_feature("distance")(world).sel(year=slice(None, 1885))).all()
