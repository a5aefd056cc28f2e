"""Who would begin: a year's forecast of a model of initiation, with and without edits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import forecast as fc
from forecast.errors import ArgumentError
from forecast.inference.fit import Fit
from forecast.inference.predict import predict
from forecast.modeling.spec import load_model
from forecast.panel import build
from forecast.panel.build import future_panel
from forecast.risk.initiation import DIRECTED, Initiation, initiation, initiations
from forecast.run import panel_options
from forecast.simulation.ending import disputes_at
from forecast.simulation.scenario import Scenario
from forecast.sources.tables import Tables

USA, RUS, CHN, POL, UKR = 2, 365, 710, 290, 369
UKRAINE = Scenario("Ukraine").join("NATO", ["UKR"], 2027)


@pytest.fixture(scope="module")
def directed(tables: Tables) -> Fit:
    spec = load_model(DIRECTED)
    panel = fc.load_panel(data=tables, **panel_options(spec))
    return fc.fit(spec, panel, seed=1, draws=200)


@pytest.fixture(scope="module")
def ukraine(directed: Fit) -> Initiation:
    return initiation(directed, UKRAINE)


def test_both_directions_are_answered_in_the_first_year_that_the_edit_acts(
    ukraine: Initiation,
) -> None:
    table = ukraine.table
    assert ukraine.year == 2028 and set(table["year"]) == {2028}
    pairs = set(zip(table["ccode_a"], table["ccode_b"], strict=True))
    assert {(USA, CHN), (CHN, USA), (UKR, POL), (POL, UKR)} <= pairs
    assert not table.duplicated(["ccode_a", "ccode_b"]).any()
    one, other = (
        table[(table["ccode_a"] == a) & (table["ccode_b"] == b)].iloc[0]
        for a, b in ((USA, CHN), (CHN, USA))
    )
    assert one["status_quo"] != other["status_quo"]


def test_only_pairs_whose_features_are_edited_differ(ukraine: Initiation) -> None:
    table = ukraine.table
    np.testing.assert_allclose(
        table["status_quo"] + table["difference"], table["scenario"], atol=1e-7
    )
    assert table["edited"].any() and not table["edited"].all()
    assert not table.loc[~table["edited"], ["difference", "difference_upper"]].to_numpy().any()
    assert (table.loc[table["ccode_a"] == UKR, "difference"] != 0).any()
    assert (table["difference"].abs().diff().dropna() <= 0).all()


def test_pairs_with_a_dispute_under_way_are_left_out(ukraine: Initiation, tables: Tables) -> None:
    found = disputes_at(tables, 2025)
    going = set(found.index[found["open"]])
    assert (RUS, UKR) in going or (min(RUS, UKR), max(RUS, UKR)) in going
    answered = {tuple(sorted(p)) for p in ukraine.table[["ccode_a", "ccode_b"]].to_numpy().tolist()}
    assert not going & answered
    assert "under way are left out" in ukraine.text


def test_the_next_year_without_edits_is_what_the_fit_predicts(directed: Fit) -> None:
    """The status quo of the first year is the plain forecast of that year."""
    found = initiation(directed, UKRAINE, year=2026).table
    panel = future_panel(directed.panel, year=2026)
    plain = predict(directed, panel)
    codes = {name: plain[name].to_numpy() for name in ("ccode_a", "ccode_b")}
    expected = pd.DataFrame(codes | {"plain": plain.mean("draw").to_numpy()})
    both = found.merge(expected, on=["ccode_a", "ccode_b"])
    assert len(both) == len(found) > 3000
    np.testing.assert_allclose(both["status_quo"], both["plain"], rtol=1e-5)
    assert not found["difference"].any(), "the edit of 2027 cannot act in 2026"


def test_conflicts_stay_as_they_were_at_the_end_of_the_record(directed: Fit) -> None:
    """Between two years ahead only what alliances' ages make of it may differ."""
    first, later = (initiation(directed, Scenario("none"), year=y).table for y in (2026, 2029))
    both = first.merge(later, on=["ccode_a", "ccode_b"], suffixes=("", "_later"))
    assert np.corrcoef(both["status_quo"], both["status_quo_later"])[0, 1] > 0.99
    busy = both[both["status_quo"] > 0.1]
    assert len(busy) > 10
    assert (busy["status_quo_later"] / busy["status_quo"]).median() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("edit", "year"),
    [
        (Scenario("x").join("NATO", ["UKR"], "2027-06-01"), 2028),
        (Scenario("x").leave("NATO", ["USA"], 2027), 2028),
        (Scenario("x").leave("NATO", ["USA"], "2027-06-01"), 2029),
        (Scenario("x").join("NATO", ["UKR"], 2027).dissolve("CSTO", 2029), 2030),
        (Scenario("x"), None),
    ],
)
def test_the_first_year_of_a_scenario_is_that_of_its_last_edit(
    edit: Scenario, year: int | None
) -> None:
    assert edit.first_year == year


def test_bad_input_is_refused(directed: Fit, known_fit: Fit) -> None:
    with pytest.raises(ArgumentError, match=f"forecast fit {DIRECTED}"):
        initiation(known_fit, UKRAINE)
    with pytest.raises(ArgumentError, match=r"year=2025: expected a year in 2026–2045"):
        initiation(directed, UKRAINE, year=2025)
    with pytest.raises(ArgumentError, match="level"):
        initiation(directed, UKRAINE, level=2)
    with pytest.raises(ArgumentError, match="without its tables"):
        initiation(replace(directed, panel=replace(directed.panel, tables=None)), UKRAINE)


def test_json_holds_the_largest_differences(ukraine: Initiation) -> None:
    answer = ukraine.to_dict(top=3)
    assert len(answer["changes"]) == 3
    assert answer["year"] == 2028 and answer["edits"] == ["UKR join NATO on 2027-01-01"]
    assert fc.initiation is initiation


def test_data_that_do_not_say_who_began_are_named(known_fit: Fit) -> None:
    tables = known_fit.panel.tables
    assert tables is not None
    unclear = tables.with_tables(
        fingerprint="x", conflicts=tables.conflicts.assign(initiator="unclear")
    )
    silent = replace(known_fit, panel=replace(known_fit.panel, tables=unclear))
    found, why = initiations(silent, [UKRAINE])
    assert found == {} and "does not say who began" in why[0]
    assert initiations(known_fit, []) == ({}, [])


def test_a_model_that_cannot_be_fitted_is_a_notice_not_the_end_of_the_run(
    known_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build.load_panel
    # In these years every state has a capability but for the same few rows: columns that agree.
    monkeypatch.setattr(build, "load_panel", lambda **o: whole(**{**o, "years": (2000, 2025)}))
    found, why = initiations(known_fit, [UKRAINE])
    assert found == {} and "linearly dependent" in why[0] and DIRECTED in why[0]
