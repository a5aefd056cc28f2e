"""What a scenario extrapolates, and what it says of one pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import forecast as fc
from forecast.errors import ArgumentError, UnknownNameError
from forecast.inference.fit import Fit
from forecast.simulation.comparison import Support, editable_terms, extrapolation_words, outside
from forecast.simulation.paired import status_quo
from forecast.simulation.scenario import Scenario
from forecast.simulation.simulate import simulate

RUS, UKR = 365, 369


@pytest.fixture(scope="module")
def ukraine(known_fit: Fit) -> xr.Dataset:
    return simulate(known_fit, Scenario("Ukraine").join("NATO", ["UKR"], 2026), horizon=3, draws=40)


def narrowed(fit: Fit, term: str, high: float) -> Fit:
    """The fit as if it had seen a feature up to `high` only."""
    terms = tuple(
        replace(code, seen=(0.0, high)) if code.name == term else code
        for code in fit.encoding.terms
    )
    return replace(fit, encoding=replace(fit.encoding, terms=terms))


def test_a_value_is_outside_by_more_than_a_fiftieth_of_the_range(known_fit: Fit) -> None:
    code = replace(known_fit.encoding.terms[0], seen=(0.0, 100.0))
    found = outside(code, np.array([-2.1, -2.0, 50.0, 102.0, 102.1, np.nan]))
    assert found.tolist() == [True, False, False, False, True, False]
    assert not outside(replace(code, seen=None), np.array([1e9])).any()


def test_only_alliances_that_no_dispute_changes_are_editable(known_fit: Fit) -> None:
    names = [code.name for code in editable_terms(known_fit)]
    assert "outside_allies" in names
    assert not {"ally_in_dispute_elsewhere", "peace_years", "capability_ratio"} & set(names)


def test_pairs_that_leave_the_range_are_named_and_counted(known_fit: Fit) -> None:
    scenario = Scenario("Ukraine").join("NATO", ["UKR"], 2026)
    before = status_quo(known_fit, horizon=3, draws=20, seed=1).future.raw["outside_allies"]
    pair = simulate(known_fit, scenario, horizon=3, draws=20)
    row = (pair["ccode_a"].to_numpy() == RUS) & (pair["ccode_b"].to_numpy() == UKR)
    limit = float(before[:, row].max()) + 1
    small = narrowed(known_fit, "outside_allies", limit)
    result = simulate(small, scenario, horizon=3, draws=20)
    leaves = result["leaves_range"].sel(term="outside_allies").to_numpy()
    assert leaves[row].all()
    count = int(leaves.sum())
    assert f"{count:,} pairs leave the range of the fit in outside_allies ({count:,})" in str(
        result.attrs["extrapolation"]
    )
    said = fc.explain(result, "RUS", "Ukraine")
    assert said.leaves_range == ("outside_allies",)
    assert "It leaves the range of the fit in outside_allies." in str(said)
    # Pairs that are outside as things stand do not leave.
    outside_now = (before > 1.02 * limit).all(axis=0)
    assert outside_now.any() and not leaves[outside_now].any()


def test_percentiles_are_those_of_the_rows_of_the_pairs_kind(known_fit: Fit) -> None:
    now = status_quo(known_fit, horizon=2, draws=20, seed=1)
    support = Support(known_fit, now.record, now.future)
    found = support.percentile(now.future, 0)
    assert support.relevant.all(), "the population of this fit"
    # Today's pairs are much like the pairs of 1990 to 2025.
    assert 30 < np.median(found) < 70
    assert found.min() >= 0 and found.max() <= 100
    moved = replace(now.future, X=now.future.X + 10.0)
    assert (support.percentile(moved, 0) == 100).all()


def test_an_unusual_alliance_is_said_to_be_one(ukraine: xr.Dataset) -> None:
    said = fc.explain(ukraine, "UKR", "RUS")
    assert said.percentile_before is not None and said.percentile_after is not None
    assert said.percentile_after > said.percentile_before
    assert "percentile of distance from the rows of the fit" in str(said)
    far = ukraine["distance_percentile"]
    count = ((far.sel(world="scenario") > 95) & (far.sel(world="status_quo") <= 95)).sum()
    assert f"{int(count):,} pairs come to have alliances" in extrapolation_words(ukraine)


def test_an_explanation_reads_the_result(ukraine: xr.Dataset) -> None:
    said = fc.explain(ukraine, "Russia", 369)
    assert (said.ccode_a, said.ccode_b, said.last_year) == (RUS, UKR, 2028)
    assert said.own[0] + said.contagion[0] == pytest.approx(said.difference[0], abs=1e-6)
    assert said.status_quo[0] + said.difference[0] == pytest.approx(said.scenario_risk[0], abs=1e-6)
    assert said.first_year == 2027
    assert said.to_dict()["scenario"] == "Ukraine"
    text = str(said)
    for words in ("Their own alliances", "contagion", "can act from 2027 on", "not causal"):
        assert words in text
    other = str(fc.explain(ukraine, "IND", "PAK"))
    assert "No alliance of the two changes" in other


def test_bad_pairs_are_refused(known_fit: Fit, ukraine: xr.Dataset) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'Ukraine'"):
        fc.explain(ukraine, "Ukrane", "RUS")
    with pytest.raises(UnknownNameError, match="state"):
        fc.explain(ukraine, 9999, "RUS")
    with pytest.raises(ArgumentError, match="same state"):
        fc.explain(ukraine, "RUS", 365)
    with pytest.raises(ArgumentError, match="not among the simulated pairs"):
        fc.explain(ukraine, "Bolivia", "Nepal")
    with pytest.raises(ArgumentError, match="no scenario"):
        fc.explain(simulate(known_fit, horizon=1, draws=10), "RUS", "UKR")
