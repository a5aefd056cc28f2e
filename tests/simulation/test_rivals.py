"""A scenario under rival theories: what each answers, and which of them have a vote."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from forecast.errors import ArgumentError, SpecificationError, UnknownNameError
from forecast.inference.fit import Fit
from forecast.inference.fit import fit as fit_model
from forecast.modeling.theory import Theory, load_theory
from forecast.risk.rival_words import (
    DEPENDS,
    points_words,
    rival_answer,
    rival_reasons,
    rival_table,
)
from forecast.simulation import rivals as module
from forecast.simulation.rivals import OWN, REFUTED, STANDS, Rival, rivals_of, standing_table
from forecast.simulation.scenario import Scenario
from forecast.simulation.simulate import simulate

PACT = Scenario("Ukraine in NATO").join("NATO", ["UKR"], 2026)


@pytest.fixture(scope="module")
def small(known_fit: Fit) -> Fit:
    """A real fit of few years."""
    panel = known_fit.panel.select_years(2008, 2025)
    return fit_model(known_fit.spec, panel, seed=3, draws=200)


@pytest.fixture(scope="module")
def pair(small: Fit) -> list[Rival]:
    return rivals_of(small, ["none", "deterrence"])


@pytest.fixture(scope="module")
def result(small: Fit, pair: list[Rival]) -> xr.Dataset:
    return simulate(small, PACT, horizon=3, draws=60, theories=pair)


# ------------------------------------------------------------------------------- bad input first


def test_bad_theories_are_refused_before_anything_is_fitted(
    small: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecast.inference.fit.fit", lambda *_, **__: pytest.fail("fitted"))
    with pytest.raises(UnknownNameError, match=r"'deterence'\. Did you mean 'deterrence'\?"):
        simulate(small, PACT, theories=["none", "deterence"])
    with pytest.raises(ArgumentError, match="expected a list of them"):
        simulate(small, PACT, theories=[])
    with pytest.raises(ArgumentError, match="'none' is there 2 times"):
        simulate(small, PACT, theories=["none", "none"])
    with pytest.raises(ArgumentError, match="expected a scenario"):
        simulate(small, theories=["none"])
    strange = load_theory("provocation").to_dict()
    strange["term"][0]["name"] = "outside_alies"
    with pytest.raises(SpecificationError, match="did you mean 'outside_allies'"):
        simulate(small, PACT, theories=[Theory.from_dict(strange)])


def test_without_theories_nothing_changes(small: Fit) -> None:
    plain = simulate(small, PACT, horizon=1, draws=60)
    assert "theory" not in plain.dims
    with pytest.raises(ArgumentError, match=r"theories=\[…\]"):
        rival_table(plain)


# --------------------------------------------------------------------------------- what is fitted


def test_each_theory_is_a_fit_of_the_same_rows_with_an_id_of_its_own(
    small: Fit, pair: list[Rival]
) -> None:
    assert [r.theory.name for r in pair] == ["none", "deterrence"]
    assert len({small.id, *(r.fit.id for r in pair)}) == 3
    for rival in pair:
        assert rival.fit.encoding.rows == small.encoding.rows
        assert rival.fit.seed == small.seed
    direct = fit_model(small.spec.under("none"), small.panel, seed=3, draws=200)
    assert direct.spec == pair[0].fit.spec
    assert direct.diagnostics.log_evidence == pytest.approx(
        pair[0].fit.diagnostics.log_evidence, abs=0.3
    )  # another search, the same integral
    assert rivals_of(small, pair) == pair
    swapped = Rival(pair[0].theory, pair[1].fit)
    with pytest.raises(ArgumentError, match=r"under 'none' is of '\w+_deterrence', expected"):
        rivals_of(small, [swapped])
    other = replace(small, panel=small.panel.select_years(2009, 2025))
    with pytest.raises(ArgumentError, match="under 'none' is of other rows"):
        rivals_of(other, pair)


def test_the_posterior_leans_to_the_theory(small: Fit, pair: list[Rival]) -> None:
    def mean(fit: Fit) -> float:
        return float(fit.posterior["posterior"]["beta"].sel(term="outside_allies").mean())

    assert mean(pair[1].fit) < mean(small) - 0.05
    assert "outside_allies" not in pair[0].fit.encoding.names


# ------------------------------------------------------------------------------------ the answer


def test_every_theory_answers_for_the_same_pairs(small: Fit, result: xr.Dataset) -> None:
    assert result["theory"].to_numpy().tolist() == [OWN, "none", "deterrence"]
    assert result["cumulative_risk"].dims[0] == "theory"
    own = simulate(small, PACT, horizon=3, draws=60)
    xr.testing.assert_equal(
        result["cumulative_risk"].sel(theory=OWN, drop=True).drop_vars(
            [n for n in result.coords if result[n].dims == ("theory",)], errors="ignore"
        ),
        own["cumulative_risk"],
    )  # fmt: skip
    difference = result["cumulative_risk"].sel(world="difference")
    assert float(abs(difference.sel(theory="none")).max()) == 0.0
    assert float(abs(difference.sel(theory="deterrence")).max()) > 0.0
    assert result["log_evidence"].sel(theory="none") == result["log_evidence"][1]
    assert np.isfinite(result["log_evidence"]).all()
    # no score of the specification of these pairs is on record
    assert np.isnan(result["log_score"]).all()


def test_table_of_theory_by_pair(result: xr.Dataset) -> None:
    table = rival_table(result, [("Russia", "UKR"), (2, 365)])
    assert len(table) == 6
    assert table["theory"].tolist() == [OWN, "none", "deterrence"] * 2
    assert set(table["ccode_b"]) == {369, 365}
    row = table.iloc[2]
    assert row["lower"] <= row["difference"] <= row["upper"]
    assert row["difference"] == pytest.approx(row["scenario"] - row["status_quo"], abs=1e-6)
    assert len(rival_table(result, top=4)) == 12
    with pytest.raises(UnknownNameError, match="Did you mean 'Russia'"):
        rival_table(result, [("Rusia", "UKR")])
    with pytest.raises(ArgumentError, match="no pair"):
        rival_table(result, [(365, 365)])


# ---------------------------------------------------------------------------------- the standing


def made_up(**facts: tuple[float, float, float] | None) -> tuple[Fit, list[Rival]]:
    """Fits that are nothing but diagnostics, with a score (behind, lower, upper) or none."""
    years = SimpleNamespace(data={"year": pd.Series([1950, 2025])}, fingerprint="x")

    def one(name: str, evidence: float) -> SimpleNamespace:
        return SimpleNamespace(
            id=name, spec=name, panel=years, encoding=SimpleNamespace(rows=5),
            diagnostics=SimpleNamespace(log_evidence=evidence, log_evidence_error=0.1),
        )  # fmt: skip

    values = {"own": -10.0, "agnostic": -20.0, "none": -40.0, "history": -5.0, "deterrence": -24.0}
    fits = {name: one(name, value) for name, value in values.items()}
    rivals = [Rival(load_theory(n), fits[n]) for n in values if n != "own"]  # type: ignore[arg-type]
    return fits["own"], rivals  # type: ignore[return-value]


def score(behind: float, lower: float, upper: float) -> SimpleNamespace:
    return SimpleNamespace(
        behind=behind, behind_lower=lower, behind_upper=upper, log_score=-100.0 + behind,
        first_year=2005, last_year=2025, data="x",
    )  # fmt: skip


def test_without_a_score_the_evidence_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "score_of", lambda spec: None)
    table = standing_table(*made_up())
    assert table["standing"].to_dict() == {
        OWN: STANDS, "agnostic": STANDS, "none": REFUTED, "history": STANDS, "deterrence": STANDS,
    }  # fmt: skip
    # The best that counts no conflict twice is the measure: history's priors have seen the record.
    assert table.loc["history", "counts_twice"]
    assert table["evidence_behind"].to_dict()["none"] == -20.0
    assert "20.0 log units behind" in table.loc["none", "why"]


def test_forecasts_come_first_and_evidence_beside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = {
        "own": score(-1.0, -4.0, 2.0),
        "agnostic": score(0.0, 0.0, 0.0),
        "none": score(-1.0, -4.0, 2.0),  # its evidence is low, its forecasts are not
        "history": score(-8.0, -12.0, -3.0),
        "deterrence": score(-2.0, -3.0, -1.0),  # surely behind, and by little
    }
    monkeypatch.setattr(module, "score_of", scores.get)
    table = standing_table(*made_up())
    assert table["standing"].to_dict() == {
        OWN: STANDS, "agnostic": STANDS, "none": STANDS, "history": REFUTED, "deterrence": STANDS,
    }  # fmt: skip
    assert "8.0 log units behind the best (3.0 to 12.0)" in table.loc["history", "why"]
    assert table.loc["agnostic", "why"] == "forecasts of 2005–2025 the best, evidence the best"
    # Neither decides alone: forecasts that are well behind, and evidence as well.
    scores["none"] = score(-4.0, -10.0, 1.0)
    assert standing_table(*made_up()).loc["none", "standing"] == REFUTED
    scores["deterrence"] = score(-4.0, -10.0, 1.0)
    assert standing_table(*made_up()).loc["deterrence", "standing"] == STANDS


def test_evidence_of_other_rows_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "score_of", lambda spec: None)
    own, rivals = made_up()
    rivals[1].fit.encoding.rows = 4  # type: ignore[misc]
    table = standing_table(own, rivals)
    assert np.isnan(table.loc["none", "log_evidence"])
    assert table.loc["none", "standing"] == STANDS


# ------------------------------------------------------------------------------------- the words


def answer(result: xr.Dataset, standing: list[str], *ends: tuple[float, float, float]) -> str:
    """The sentence when the difference of Russia–Ukraine is as given under each theory."""
    here = (result["ccode_a"] == 365) & (result["ccode_b"] == 369)
    changed = result.copy(deep=True)
    at = int(np.flatnonzero(here.to_numpy())[0])
    worlds = result["world"].to_numpy().tolist().index("difference")
    values = changed["cumulative_risk"].to_numpy()
    for t, end in enumerate(ends):
        values[t, worlds, :, -1, at] = end
    changed = changed.assign_coords(standing=("theory", standing))
    return rival_answer(replace_values(changed, values), 365, 369)


def replace_values(result: xr.Dataset, values: np.ndarray) -> xr.Dataset:
    return result.assign(cumulative_risk=result["cumulative_risk"].copy(data=values))


UP, DOWN, ZERO = (0.03, 0.01, 0.06), (-0.03, -0.06, -0.01), (0.01, -0.02, 0.04)


def test_the_words_say_when_the_answer_depends_on_the_theory(result: xr.Dataset) -> None:
    all_stand = [STANDS] * 3
    assert f"{DEPENDS}: more risk by own priors, less by none" in answer(
        result, all_stand, UP, DOWN, ZERO
    )
    assert f"{DEPENDS}: more risk by own priors, and no clear sign by the others" in answer(
        result, all_stand, UP, ZERO, ZERO
    )
    assert f"{DEPENDS}: under each one that stands what is left covers zero" in answer(
        result, all_stand, ZERO, ZERO, ZERO
    )
    agreed = answer(result, all_stand, UP, UP, UP)
    assert DEPENDS not in agreed
    assert "every theory that stands says more risk" in agreed
    assert "+3 (+1 to +6)" in agreed


def test_an_interval_that_excludes_zero_does_not_end_with_it():
    row = {"difference": -0.03, "lower": -0.09, "upper": -0.002}
    assert points_words(row) == "−3.0 (−9.0 to −0.2)"
    assert points_words(row | {"upper": 0.002}) == "−3 (−9 to +0)"


def test_a_refuted_theory_has_no_vote_and_says_why(result: xr.Dataset) -> None:
    standing = [STANDS, REFUTED, STANDS]
    text = answer(result, standing, UP, (0.0, 0.0, 0.0), UP)
    assert "every theory that stands says more risk" in text
    vote, refuted = text.split("Refuted by the record, and without a vote: ")
    assert "none" not in vote
    assert refuted == "none 0, by construction."
    reasons = rival_reasons(result)
    assert reasons[1].startswith("none: ")
    assert "no score of this specification, evidence" in reasons[1]
    assert "none is left to answer" in answer(result, [REFUTED] * 3, UP, UP, UP)


def test_pairs_are_chosen_by_what_theories_that_stand_say(result: xr.Dataset) -> None:
    only_none = result.assign_coords(standing=("theory", [REFUTED, STANDS, REFUTED]))
    assert rival_table(only_none, top=1).iloc[1]["difference"] == 0.0
