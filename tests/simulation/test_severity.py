"""How bad: the rows, their history, the ladder of an answer, fighting, and its record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecast as fc
from forecast.cli import main
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.calibration_record import CalibrationRecord, record_of
from forecast.evaluation.yearly_counts import ladder_forecasts, ladder_table
from forecast.inference.fit import Fit
from forecast.modeling.spec import load_model
from forecast.risk import risk
from forecast.simulation.levels import LEVELS
from forecast.simulation.scenario import Scenario
from forecast.simulation.severity import (
    Severity,
    levels_reached,
    recent_log_odds,
    severity_history,
    severity_panel,
)
from forecast.simulation.simulate import simulate
from forecast.sources.tables import Tables

IND_PAK = np.array([[750, 770]])


def with_disputes(
    tables: Tables, *given: tuple[str, str | None, int | None, tuple[int, int]]
) -> Tables:
    """The tables with these disputes only: start, end, class of deaths, pair."""
    one = tables.conflicts.iloc[[0]]
    rows = [
        one.assign(
            conflict_id=f"d{i}", ccode_a=pair[0], ccode_b=pair[1], start=pd.Timestamp(start),
            end=pd.NaT if end is None else pd.Timestamp(end), deaths_class=deaths,
            role_a="originator", role_b="originator",
        ).astype({"deaths_class": "Int64"})
        for i, (start, end, deaths, pair) in enumerate(given)
    ]  # fmt: skip
    return replace(tables, conflicts=pd.concat(rows, ignore_index=True))


def test_rows_go_as_far_as_the_dispute_and_no_further(tables: Tables) -> None:
    pair, other, third = (750, 770), (2, 20), (2, 70)
    made = with_disputes(
        tables,
        ("2001-05-01", "2001-06-01", 0, pair),
        ("2003-05-01", "2003-06-01", 3, pair),
        ("2005-05-01", "2005-06-01", 6, pair),
        ("2007-05-01", "2007-06-01", None, pair),
        ("2009-05-01", None, 1, pair),
        # Two begin in one year: the graver tells, and what is unknown beside it does not.
        ("2011-05-01", "2011-06-01", 0, other),
        ("2011-07-01", "2011-08-01", 2, other),
        ("2011-05-01", "2011-06-01", None, third),
        ("2011-07-01", "2011-08-01", 1, third),
    )
    reached = levels_reached(made, last=2025)
    nan = float("nan")
    expected = {
        (2001, *pair): (0, 0, 0), (2003, *pair): (1, 1, 0), (2005, *pair): (1, 1, 1),
        (2007, *pair): (nan, nan, nan), (2009, *pair): (1, nan, nan),
        (2011, *other): (1, 1, 0), (2011, *third): (1, nan, nan),
    }  # fmt: skip
    assert reached.index.tolist() == sorted(expected)
    for key, values in expected.items():
        np.testing.assert_array_equal(reached.loc[key].to_numpy(), values)
    panel = severity_panel(made, last=2025).data
    assert panel["level"].to_numpy()[panel["year"].to_numpy() == 2001].tolist() == [0]
    # By 2008 nobody had seen the dispute of 2009, and one that runs past the end may yet rise.
    assert severity_panel(made, last=2008).data["year"].max() == 2007
    running = with_disputes(tables, ("2003-05-01", "2010-06-01", 1, pair))
    assert np.isnan(levels_reached(running, last=2005).iloc[0, 1])


def test_history_is_of_earlier_years_only_and_as_documented(tables: Tables) -> None:
    made = with_disputes(
        tables,
        ("1990-05-01", "1992-06-01", 3, (750, 770)),
        ("2000-05-01", "2000-06-01", 0, (750, 770)),
        ("2002-05-01", "2002-06-01", None, (750, 770)),
        ("2009-05-01", "2009-06-01", 6, (710, 750)),
        ("2010-05-01", "2010-06-01", 6, (750, 770)),
    )
    found = {k: v[0] for k, v in severity_history(made, IND_PAK, 2010).items()}
    w90, w00, w09 = (2.0 ** (-(2010 - y) / 10) for y in (1990, 2000, 2009))
    assert found["disputes_total"] == 3
    assert found["years_since_dispute"] == 7 and found["dispute_last_year"] == 0
    assert found["pair_fatal_share"] == pytest.approx((w90 + 0.6) / (w90 + w00 + 1))
    assert found["pair_deaths_25_share"] == pytest.approx((w90 + 0.3) / (w90 + w00 + 1))
    pakistan = (w90 + 0.5) / (w90 + w00 + 1.5)
    india = (w90 + w09 + 0.5) / (w90 + w00 + w09 + 1.5)
    assert found["state_deaths_25_share_max"] == pytest.approx(max(india, pakistan))
    assert found["state_deaths_25_share_min"] == pytest.approx(min(india, pakistan))
    # Without a record: since it begins, and the shares that stand for one.
    none = {k: v[0] for k, v in severity_history(made, np.array([[2, 20]]), 2010).items()}
    first = made.coverage["conflicts"].first
    assert none["years_since_dispute"] == 2010 - first and none["disputes_total"] == 0
    assert (none["pair_fatal_share"], none["pair_deaths_25_share"]) == (0.6, 0.3)
    running = severity_history(with_disputes(tables, ("2005-05-01", None, 1, (750, 770))),
                               IND_PAK, 2010)  # fmt: skip
    assert running["dispute_last_year"][0] == 1 and running["years_since_dispute"][0] == 0


def test_the_level_of_late_fades_and_leaves_out_what_is_unknown() -> None:
    year, level = np.array([2000, 2007, 2007, 2009]), np.array([0, 0, 0, 0])
    outcome = np.array([1.0, 0.0, np.nan, 1.0])
    found = recent_log_odds(year, level, outcome, before=2007)
    assert found[0] == pytest.approx(np.log(0.5 + 0.5) - np.log(0.5))
    assert found[1] == 0.0
    later = recent_log_odds(year, level, outcome, before=2014)
    yes, no = 0.25 + 2.0 ** (-5 / 7), 0.5
    assert later[0] == pytest.approx(np.log(yes + 0.5) - np.log(no + 0.5))


@pytest.fixture(scope="module")
def severity(tables: Tables) -> Severity:
    return Severity(tables, origin=2025, draws=200, seed=1)


def test_the_fit_passes_the_gate_and_adds_up_on_its_rows(
    tables: Tables, severity: Severity
) -> None:
    assert severity.fit is not None
    severity.fit.require_passed()
    panel = severity_panel(tables, last=2025)
    from forecast.inference.predict import predict

    known = np.isfinite(panel.data["outcome"].to_numpy())
    steps = predict(severity.fit, panel.data.drop_vars("outcome")).mean("draw").to_numpy()
    level = panel.data["level"].to_numpy()
    for number in range(3):
        at = known & (level == number)
        assert steps[at].sum() == pytest.approx(panel.data["outcome"].to_numpy()[at].sum(), rel=0.1)


def test_levels_are_contained_in_each_other_and_few_pairs_are_as_many(
    severity: Severity,
) -> None:
    pairs = np.array([[2, 200 + i] for i in range(0, 60, 1)] + [[750, 770], [365, 369]])
    many = severity.given_onset(severity.columns(pairs), 2026)
    assert many.shape == (3, len(pairs), 200) and many.dtype == np.float32
    assert (np.diff(many, axis=0) <= 0).all() and (many > 0).all() and (many < 1).all()
    few = severity.given_onset(severity.columns(pairs[-2:]), 2026)
    np.testing.assert_allclose(few, many[:, -2:], rtol=1e-4)
    # India and Pakistan kill each other's soldiers, the United States and Canada do not.
    calm = severity.given_onset(severity.columns(np.array([[2, 20]])), 2026)
    assert (few[:, 0].mean(axis=1) > 2 * calm[:, 0].mean(axis=1)).all()
    # What is not known of the level grows.
    later = severity.given_onset(severity.columns(pairs[-2:]), 2045)
    assert later[0].std() > few[0].std()


def test_a_record_without_deaths_is_one_share_for_each_level(tables: Tables) -> None:
    made = with_disputes(tables, ("2001-05-01", "2001-06-01", 0, (750, 770)))
    severity = Severity(made, origin=2025, draws=100, seed=1)
    assert severity.fit is None
    given = severity.given_onset(severity.columns(IND_PAK), 2026)
    assert given.shape == (3, 1, 100)
    assert (np.diff(given, axis=0) <= 0).all()
    assert given[0].mean() == pytest.approx(0.25, abs=0.1)  # one that was not: Jeffreys


def test_every_answer_holds_the_ladder(known_fit: Fit) -> None:
    answer = risk(known_fit, "IND", "PAK", horizon=2)
    assert [entry["severity"] for entry in answer.ladder] == list(LEVELS)
    assert answer.ladder[0]["probability"] == pytest.approx(answer.probability)
    chances = [entry["probability"] for entry in answer.ladder]
    assert chances == sorted(chances, reverse=True)
    for entry in answer.ladder:
        assert 0 < entry["lower"] < entry["probability"] < entry["upper"] < 1
        assert 0 < entry["base_rate"] <= answer.base_rate
    json.dumps(answer.to_dict(), allow_nan=False)
    for name, entry in zip(LEVELS, answer.ladder, strict=True):
        asked = risk(known_fit, "IND", "PAK", horizon=2, severity=name)  # type: ignore[call-overload]
        assert asked.severity == name
        assert asked.probability == pytest.approx(entry["probability"])
        assert (asked.lower, asked.base_rate) == pytest.approx((entry["lower"], entry["base_rate"]))
        assert asked.ladder == answer.ladder
    assert "costs more than 25 lives" in str(risk(known_fit, "IND", "PAK", severity="deaths_25"))


def test_a_table_of_a_level_is_the_answers_of_its_pairs(known_fit: Fit) -> None:
    table = risk(known_fit, ["IND", "RUS"], ["PAK", "UKR"], horizon=3, severity="deaths_25")
    assert set(table["severity"]) == {"deaths_25"}
    for at, pair in ((2, ("IND", "PAK")), (5, ("RUS", "UKR"))):
        one = risk(known_fit, *pair, horizon=3, severity="deaths_25")
        assert table["probability"].iloc[at] == pytest.approx(one.probability, rel=1e-4)
        assert table["upper"].iloc[at] == pytest.approx(one.upper, rel=1e-3)
        assert table["base_rate"].iloc[at] == pytest.approx(one.base_rate)
    everyone = {
        name: risk(known_fit, severity=name)["probability"].to_numpy()  # type: ignore[call-overload]
        for name in LEVELS
    }
    for above, below in zip(list(LEVELS)[1:], list(LEVELS)[:-1], strict=True):
        assert (everyone[above] <= everyone[below] + 1e-7).all()
    # The total is about what the last ten years had: 10 to 60 in 1,000 dyadic onsets.
    assert 0.05 < everyone["deaths_25"].sum() / everyone["onset"].sum() < 0.4


def test_fighting_leads_where_onsets_would_leave_a_war_out(known_fit: Fit) -> None:
    war = risk(known_fit, "RUS", "UKR")
    assert war.under_way is not None
    still = war.under_way.years[0]["still"]
    assert war.fighting["probability"] >= still > 0.5
    assert war.ladder[2]["probability"] < 0.2
    assert war.under_way.rises is None  # nothing lies above 999
    assert "Fighting in 2026" in str(war)
    calm = risk(known_fit, "IND", "PAK")
    assert calm.fighting["probability"] == pytest.approx(calm.ladder[2]["probability"])


def test_what_cannot_be_asked(known_fit: Fit) -> None:
    with pytest.raises(UnknownNameError, match=r"severity 'death_25'.*'deaths_25'"):
        risk(known_fit, "IND", "PAK", severity="death_25")  # type: ignore[call-overload]


def test_the_record_of_a_backtest_has_every_level(tables: Tables) -> None:
    panel = fc.load_panel(years=(1990, 2025), population="politically_relevant")
    spec = load_model("dyad_onset").with_population("politically_relevant")
    made = fc.backtest(
        fc.BacktestPlan(
            model=spec,
            origins=range(2020, 2022),
            refit=2,
            seed=1,
            draws=100,
            baselines=(),
            resamples=20,
        ),
        panel,
    )
    rows = ladder_forecasts(
        made.forecasts, tables, model=made.model, refits=[2020], seed=1, draws=50
    )
    assert len(rows) == len(made.forecasts[made.forecasts["model"] == made.model])
    chances = rows[list(LEVELS)].to_numpy()
    assert (np.diff(chances, axis=1) <= 0).all()
    assert (rows[["is_onset", "is_fatal"]].dropna().diff(axis=1)["is_fatal"] <= 0).all()
    # No row is left out for what became of it.
    assert rows["is_onset"].sum() == made.forecasts[
        made.forecasts["model"] == made.model]["outcome"].sum()  # fmt: skip
    table = ladder_table(rows, level=0.9).set_index(["scope", "severity"])
    everyone = table.loc["all"]
    assert everyone["expected"].is_monotonic_decreasing
    assert (everyone["lower"] <= everyone["observed"]).all()
    assert ("remote", "deaths_1000") not in table.index
    record = record_of(made, tables=tables, resamples=20)
    assert CalibrationRecord.from_dict(record.to_dict()).ladder.equals(record.ladder)
    said = record.quote_level("deaths_25", "relevant")
    assert said["covered"] and "more than 25 deaths expected" in said["text"]
    old = {k: v for k, v in record.to_dict().items() if k != "ladder"}
    assert not CalibrationRecord.from_dict(old).quote_level("fatal")["covered"]


def test_a_scenario_of_a_level_moves_it_by_what_begins(known_fit: Fit) -> None:
    pact = Scenario("pact").form("Test", ["CHN", "RUS"], 2026)
    every = simulate(known_fit, pact, horizon=3, draws=100)
    some = simulate(known_fit, pact, horizon=3, draws=100, severity="deaths_25")
    assert (every.attrs["severity"], some.attrs["severity"]) == ("onset", "deaths_25")
    for name in ("annual_risk", "cumulative_risk", "state_risk", "world_onsets"):
        above, below = (r[name].sel(world="status_quo", estimate="mean") for r in (some, every))
        assert bool((above <= below + 1e-6).all())
    # The same as a query: one number for one question.
    asked = risk(known_fit, severity="deaths_25", horizon=3, draws=100)
    asked = asked[asked["horizon"] == 3].set_index(["ccode_a", "ccode_b"])["probability"]
    final = some["cumulative_risk"].sel(world="status_quo", estimate="mean").isel(year=-1)
    pairs = list(zip(some["ccode_a"].to_numpy(), some["ccode_b"].to_numpy(), strict=True))
    np.testing.assert_allclose(final, asked.loc[pairs], rtol=1e-3, atol=1e-6)
    assert "more than 25 deaths" in some["cumulative_risk"].attrs["unit"]
    assert "more than 25 deaths" not in every["cumulative_risk"].attrs["unit"]
    for result, level in ((every, "one onset by"), (some, "one onset with more than 25 deaths of")):
        assert level in str(fc.explain(result, "CHN", "RUS"))
    # Differences have the sign of those of onsets, are smaller, and their parts add up.
    pair = ((some["ccode_a"] == 365) & (some["ccode_b"] == 710)).to_numpy()
    whole, part = (
        float(r["cumulative_risk"].sel(world="difference", estimate="mean").isel(year=-1, dyad=pair)
              .item()) for r in (every, some)
    )  # fmt: skip
    assert whole < part < 0
    parts = some["difference_parts"].sel(estimate="mean").sum("source")
    difference = some["cumulative_risk"].sel(world="difference", estimate="mean")
    np.testing.assert_allclose(parts, difference, atol=2e-6)
    assert int(some["world_onsets"].sel(world="status_quo", estimate="upper").max()) < int(
        every["world_onsets"].sel(world="status_quo", estimate="upper").max()
    )


def test_a_set_at_every_level(known_fit: Fit) -> None:
    answers = [risk(known_fit, "RUS", "NATO", how="any", severity=name) for name in LEVELS]  # type: ignore[call-overload]
    chances = [answer.probability for answer in answers]
    assert chances == sorted(chances, reverse=True) and chances[-1] > 0
    assert answers[2].expected == pytest.approx(
        sum(risk(known_fit, "RUS", b, severity="deaths_25").probability
            for b in sorted(fc.members("NATO"))), rel=1e-3,
    )  # fmt: skip
    assert "costs more than 25 lives" in str(answers[2])
    assert answers[2].record["onsets"] <= answers[0].record["onsets"]
    alone = risk(known_fit, ["RUS"], ["POL"], severity="deaths_25")["probability"].iloc[0]
    both = risk(known_fit, "RUS", frozenset({"POL"}), how="any", severity="deaths_25")
    assert both.probability == pytest.approx(alone, rel=1e-4)


def test_the_shell_knows_every_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["backtest", "dyad_onset:force_onset", "--severity", "--first", "2025"]) == 1
    assert "--severity: levels are of onsets" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert main(["risk", "IND", "PAK", "--severity", "deaths_26"]) == 1
    assert "Did you mean 'deaths_25'" in capsys.readouterr().err


def test_data_without_deaths_say_what_is_missing(tables: Tables, known_fit: Fit) -> None:
    silent = tables.conflicts.assign(deaths_class=pd.array([None] * len(tables.conflicts), "Int64"))
    severity = Severity(replace(tables, conflicts=silent), origin=2025, draws=100, seed=1)
    assert severity.unrecorded == ("fatal", "deaths_25", "deaths_1000")
    severity.require("onset")
    with pytest.raises(ArgumentError, match=r"'fatal'.*say of no dispute.*Recorded: onset"):
        severity.require("fatal")
    few = with_disputes(tables, ("2001-05-01", "2001-06-01", 0, (750, 770)))
    assert Severity(few, origin=2025, draws=100, seed=1).unrecorded == ("deaths_25", "deaths_1000")
    # An answer still comes, with the levels that there are.
    panel = replace(known_fit.panel, tables=replace(tables, conflicts=silent))
    mute = replace(known_fit, panel=panel, id=f"{known_fit.id}-mute")
    answer = risk(mute, "IND", "PAK", draws=100)
    assert [entry["probability"] is None for entry in answer.ladder] == [False, True, True, True]
    assert answer.fighting is None and "record no deaths" in str(answer)
    json.dumps(answer.to_dict(), allow_nan=False)
    with pytest.raises(ArgumentError, match="severity='deaths_25'"):
        risk(mute, "IND", "PAK", draws=100, severity="deaths_25")
    with pytest.raises(ArgumentError, match="severity='deaths_25'"):
        simulate(mute, horizon=2, draws=100, severity="deaths_25")
