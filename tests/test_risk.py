from __future__ import annotations

import json

import numpy as np
import pytest

import forecast
from forecast.errors import ArgumentError, UnknownNameError
from forecast.inference.fit import Fit
from forecast.risk import Risk, risk
from forecast.scenario.simulate import simulate


def test_the_order_and_the_kind_of_name_do_not_matter(known_fit: Fit) -> None:
    one = risk(known_fit, "IND", "PAK", horizon=3)
    assert one == risk(known_fit, "Pakistan", 750, horizon=3)
    assert (one.ccode_a, one.ccode_b) == (750, 770)
    assert (one.first_year, one.last_year) == (2026, 2028)


def test_an_answer_holds_what_the_number_needs(known_fit: Fit) -> None:
    answer = risk(known_fit, "IND", "PAK", horizon=3, level=0.8)
    assert 0 < answer.lower < answer.probability < answer.upper < 1
    assert answer.interval_kind == "equal-tailed"
    assert answer.interval_level == 0.8
    assert "3 years" in answer.unit
    assert answer.stratum == "recurrent"
    assert answer.ratio == pytest.approx(answer.probability / answer.base_rate)
    assert len(answer.drivers) == 3
    sizes = [abs(d["log_odds"]) for d in answer.drivers]
    assert sizes == sorted(sizes, reverse=True)
    assert set(answer.effects) == {"state", "dyad", "era"}
    assert answer.support["rows_of_dyad"] > 0
    assert answer.calibration["source"].startswith("in sample")
    assert answer.calibration["rows"] > 0
    assert answer.vintage["conflicts"]["last"] == 2025
    assert "not causal" in answer.caution
    text = json.dumps(answer.to_dict(), allow_nan=False)
    assert json.loads(text)["probability"] == answer.probability
    assert "80% equal-tailed interval" in str(answer)


def test_many_pairs_give_the_same_numbers_as_one(known_fit: Fit) -> None:
    table = risk(known_fit, ["IND", "USA"], ["PAK", "CHN"], horizon=2)
    assert table["horizon"].tolist() == [1, 2, 1, 2]
    single = risk(known_fit, "USA", "CHN", horizon=2)
    row = table.iloc[3]
    assert row["probability"] == pytest.approx(single.probability)
    assert row["base_rate"] == pytest.approx(single.base_rate)
    assert row["lower"] == pytest.approx(single.lower, rel=1e-5)
    assert row["upper"] == pytest.approx(single.upper, rel=1e-5)


def test_everyone_agrees_with_the_simulation(known_fit: Fit) -> None:
    table = risk(known_fit, horizon=5)
    result = simulate(known_fit, horizon=5)
    expected = result["cumulative_risk"].sel(world="status_quo", estimate="mean")
    found = table["probability"].to_numpy().reshape(-1, 5).T
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_unknown_state_suggests_the_nearest(known_fit: Fit) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'Pakistan'"):
        risk(known_fit, "IND", "Pakistn")


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("IND", "India"), {}, "same state"),
        (("IND", "PAK"), {"horizon": 0}, "horizon"),
        (("IND", "PAK"), {"horizon": 21}, "horizon"),
        (("IND", "PAK"), {"level": 90}, "level"),
        (("IND",), {}, "both states"),
        ((["IND"], ["PAK", "CHN"]), {}, "equal length"),
        (("IND", ["PAK"]), {}, "equal length"),
    ],
)
def test_bad_arguments(known_fit: Fit, arguments: tuple, options: dict, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        risk(known_fit, *arguments, **options)


def test_a_pair_outside_the_population_says_how_it_was_handled(known_fit: Fit) -> None:
    answer = risk(known_fit, "Bolivia", "Mongolia", horizon=2)
    assert answer.stratum == "outside the population"
    assert "outside the population" in answer.handling
    assert answer.probability == answer.base_rate < 0.01
    assert answer.lower < answer.probability < answer.upper
    table = risk(known_fit, ["Bolivia", "IND"], ["Mongolia", "PAK"], horizon=2)
    assert table["handling"].tolist() == ["observed rate"] * 2 + ["model"] * 2
    assert table["probability"].iloc[1] == pytest.approx(answer.probability)


def test_base_rates_are_shares_of_the_record(known_fit: Fit) -> None:
    from forecast.evaluation.strata import STRATA, base_rates

    assert known_fit.panel.world is not None
    rates = base_rates(known_fit.panel.world, horizon=3)
    data = known_fit.panel.tables
    assert data is not None
    for h in (1, 2, 3):
        assert rates[h]["first ever"].rate < rates[h]["quiet"].rate < rates[h]["recurrent"].rate
    assert rates[1]["quiet"].onsets <= rates[2]["quiet"].onsets <= rates[3]["quiet"].onsets + 30
    # All onsets of politically relevant pairs at risk are in one of the strata.
    full = forecast.load_panel(data=data)
    assert sum(rates[1][s].rows for s in STRATA) == full.data.sizes["row"]
    assert sum(rates[1][s].onsets for s in STRATA) == int(full.data["outcome"].sum())


def test_an_interval_is_the_quantiles_of_the_draws(known_fit: Fit) -> None:
    answer = risk(known_fit, "USA", "CHN", horizon=1, level=0.5)
    wide = risk(known_fit, "USA", "CHN", horizon=1, level=0.95)
    assert wide.lower < answer.lower < answer.upper < wide.upper
    assert isinstance(answer, Risk)
