"""Columns of alliance-years in the tiny world, against what its treaties say."""

from dataclasses import replace

import numpy as np
import pytest

from forecast.errors import ArgumentError, DataError
from forecast.features.gather import FeatureRequest, compute_features
from forecast.features.treaty import treaty_features, with_treaty_features
from forecast.panel.build import load_panel


@pytest.fixture(scope="module")
def panel(tiny_tables):
    """Treaties in force, 1991 to 2010."""
    return load_panel(data=tiny_tables, unit="alliance-year")


def column(panel, name, alliance_id):
    rows = panel.data.isel(row=panel.data["alliance_id"].to_numpy() == alliance_id)
    return dict(zip(rows["year"].to_numpy().tolist(), rows[name].to_numpy().tolist(), strict=True))


def test_state_features_over_the_members_of_the_year_before(panel):
    requests = [
        FeatureRequest("total", "capability_share", side="sum"),
        FeatureRequest("largest", "capability_share", side="max"),
        FeatureRequest("smallest", "capability_share", side="min"),
        FeatureRequest("average", "capability_share", side="mean"),
    ]
    done = compute_features(panel, requests)
    world = panel.world
    share = world["capability"].sel(year=2004, state=[10, 20, 30, 50]).to_numpy()
    at = {name: column(done, name, "north-pact") for name in ("total", "largest", "smallest")}
    assert at["total"][2005] == pytest.approx(share.sum())
    assert at["largest"][2005] == pytest.approx(share.max())
    assert at["smallest"][2005] == pytest.approx(share.min())
    average = column(done, "average", "north-pact")
    assert average[2005] == pytest.approx(share.mean())
    # Bela left in 2006: in force on a day of 2006, so it still counts for the row of 2007.
    assert average[2008] == pytest.approx(
        world["capability"].sel(year=2007, state=[10, 30, 50]).to_numpy().mean()
    )


def test_nothing_is_known_of_the_year_before_the_treaty(panel):
    done = compute_features(panel, [FeatureRequest("x", "capability_share", side="sum")])
    guarantee = column(done, "x", "eron-dara")
    assert np.isnan(guarantee[1992])
    assert not np.isnan(guarantee[1993])
    # Fyra was no state in 1999 and 2000: nobody was bound.
    bela = column(done, "x", "bela-fyra")
    assert np.isnan(bela[2001])
    assert not np.isnan(bela[2002])


def test_a_missing_member_makes_the_column_missing(tiny_tables):
    capabilities = tiny_tables.capabilities
    gone = (capabilities["ccode"] == 10) & (capabilities["year"] == 2003)
    tables = replace(tiny_tables, capabilities=capabilities[~gone])
    panel = load_panel(data=tables, unit="alliance-year")
    for side in ("sum", "mean", "min", "max"):
        done = compute_features(panel, [FeatureRequest("x", "capability_share", side=side)])
        assert np.isnan(column(done, "x", "north-pact")[2004])
        assert not np.isnan(column(done, "x", "north-pact")[2005])


def test_system_features(panel):
    request = FeatureRequest("system", "system_disputes_recent", {"window": 3})
    done = compute_features(panel, [request])
    dense = request.spec(panel.world, window=3)
    for year, value in column(done, "system", "north-pact").items():
        expected = float(dense.sel(year=year - 1))
        assert value == pytest.approx(expected, nan_ok=True)
    assert done.data["system"].attrs["feature"] == "system_disputes_recent"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (FeatureRequest("x", "peace_years"), "about pairs of states and has no value in an alli"),
        (FeatureRequest("x", "capability_share", side="a"), "one of sum, mean, min, max, found"),
        (FeatureRequest("x", "capability_share"), "found 'none'"),
    ],
)
def test_what_has_no_meaning_is_refused(panel, request_, message):
    with pytest.raises(ArgumentError, match=message):
        compute_features(panel, [request_])


def test_features_of_the_treaty(panel):
    done = with_treaty_features(panel, window=5)
    table = treaty_features(panel.world, window=5)
    for alliance in ("north-pact", "eron-dara"):
        for name in ("size", "depth", "concentration", "expansion", "defense"):
            for year, value in column(done, f"treaty_{name}", alliance).items():
                expected = float(table[name].sel(year=year - 1, treaty=alliance))
                assert value == pytest.approx(expected, nan_ok=True), (alliance, name, year)
    # Cora joined in 2000, within five years before 2004.
    assert column(done, "treaty_expansion", "north-pact")[2005] == 1
    assert np.isnan(column(done, "treaty_size", "eron-dara")[1992])


def test_treaty_features_are_for_alliance_years(panel, tiny_panel):
    with pytest.raises(ArgumentError, match="for unit='alliance-year'; found 'dyad-year'"):
        with_treaty_features(tiny_panel)
    with pytest.raises(DataError, match="no alliances to compute"):
        with_treaty_features(replace(panel, world=None))


def test_features_of_dispute_dyads(tiny_tables, tiny_panel):
    """Gathered by the two sides, as in a dyad-year of the year in which the dispute began."""
    requests = [
        FeatureRequest("peace", "peace_years"),
        FeatureRequest("ratio", "capability_ratio"),
        FeatureRequest("allies", "outside_allies", side="max"),
    ]
    disputes = compute_features(load_panel(data=tiny_tables, unit="dispute-dyad"), requests).data
    dyads = compute_features(load_panel(data=tiny_tables, population="all"), requests).data
    keys = ["year", "ccode_a", "ccode_b"]
    names = [r.name for r in requests]
    rows = disputes.to_dataframe()
    years = dyads.to_dataframe().set_index(keys)[names].loc[list(map(tuple, rows[keys].to_numpy()))]
    np.testing.assert_array_equal(rows[names].to_numpy(), years.to_numpy())
