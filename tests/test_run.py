"""The main job on the embedded data, once for all tests of this file."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

import forecast
from forecast.errors import GateRefusedError, UnknownNameError
from forecast.features.strata import STRATA_WORDS
from forecast.inference.diagnostics import Thresholds
from forecast.modeling.spec import default_model, load_model
from forecast.panel import build
from forecast.panel.types import Panel
from forecast.report.summary import data_notices
from forecast.run import (
    Run,
    report_of,
    run,
)
from forecast.simulation.scenario import applicable, stock_scenarios
from forecast.sources.tables import Tables
from forecast.store import open_store


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("main-job")


@pytest.fixture(scope="module")
def done(place: Path) -> Run:
    """All pairs, as by default; of the last years only, which keeps it short."""
    with pytest.MonkeyPatch.context() as patch:
        of_years(patch, 2014, 2025)
        return run(
            folder=place / "report",
            store=place / "store",
            scenarios=stock_scenarios()[:1],
            draws=200,
            horizon=3,
            backtest_years=1,
            seed=7,
        )


def of_years(patch: pytest.MonkeyPatch, first: int, last: int, **more: object) -> None:
    """Let the main job load the rows of some years."""
    whole = build.load_panel

    def part(**options: object) -> Panel:
        return whole(**{**options, **more, "years": (first, last)})  # type: ignore[arg-type]

    patch.setattr(build, "load_panel", part)


def test_the_fit_passes_the_gate_and_is_in_the_store(done: Run, place: Path) -> None:
    assert done.fit.gate().passed, done.fit.gate().failures
    assert open_store(place / "store").newest() == done.fit.id


def test_the_calibration_record_travels_with_the_fit(done: Run, place: Path) -> None:
    loaded = open_store(place / "store").load(done.fit.id)
    assert loaded.record is not None and done.fit.record is not None
    assert loaded.record.to_dict() == done.fit.record.to_dict()
    assert (loaded.record.first_year, loaded.record.last_year) == (2025, 2025)
    assert loaded.record.specification == loaded.spec.sha256
    backtest = pd.read_parquet(place / "report" / "backtest_forecasts.parquet")
    own = backtest[backtest["model"] == loaded.record.model]
    assert loaded.record.rows == len(own)
    answer = forecast.risk(loaded, "IND", "PAK")
    assert answer.calibration["source"] == "out of sample, one year ahead, 2025"


def test_the_report_is_there_with_its_tables(done: Run, place: Path) -> None:
    assert done.report.page == (place / "report" / "index.html").resolve()
    assert len(done.report.summary) == 7
    risks = pd.read_parquet(place / "report" / "risks.parquet")
    assert len(risks) == 3 * risks[["ccode_a", "ccode_b"]].drop_duplicates().shape[0]
    assert risks["probability"].between(0, 1).all()
    assert (risks["lower"] <= risks["upper"]).all()
    # All that a reader of today must find: the number of expected onsets is of the right order.
    year = risks[risks["horizon"] == 1]
    recent = done.fit.panel.data.to_dataframe().query("year > 2015")
    yearly = recent["outcome"].sum() / 10
    assert 0.5 * yearly < year["probability"].sum() < 2 * yearly
    assert sorted(p.name for p in place.iterdir()) == ["report", "store"]


def test_pairs_that_are_not_politically_relevant_are_answered_by_the_model(done: Run) -> None:
    """Far from each other, no major power among them, and those that people ask about."""
    pairs = [("Iran", "Israel"), ("Israel", "Yemen"), ("Israel", "Qatar"), ("Ethiopia", "Egypt")]
    asked = [*pairs, ("Saudi Arabia", "Yemen"), ("Bolivia", "Mongolia")]
    table = forecast.risk(done.fit, *map(list, zip(*asked, strict=True)), horizon=1)
    assert table["handling"].str.startswith("model").all()
    assert table["stratum"].str.endswith(", remote").tolist() == [True] * 4 + [False, True]
    p = dict(zip(asked, table["probability"], strict=True))
    # One onset in 8,000 pair-years without a record, one in thirty with a recent dispute.
    assert p["Bolivia", "Mongolia"] < 0.0005
    assert p["Iran", "Israel"] > 0.02
    assert p["Iran", "Israel"] > p["Israel", "Yemen"] > 10 * p["Bolivia", "Mongolia"]
    one = forecast.risk(done.fit, "Iran", "Israel", horizon=1)
    assert one.base_population == "all pairs of states"
    assert STRATA_WORDS[one.stratum] in str(one)


def test_a_second_report_has_the_same_numbers_and_says_so(done: Run, place: Path) -> None:
    again = report_of(
        open_store(place / "store").load(done.fit.id),
        folder=place / "report",
        scenarios=stock_scenarios()[:1],
        horizon=3,
        backtest_years=1,
    )
    assert again.sha256 == done.report.sha256
    assert again.changed is False
    assert "Nothing has changed" in again.page.read_text(encoding="utf-8")


def test_a_refused_fit_writes_nothing(
    done: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = Thresholds(max_pareto_k=-10.0)
    with pytest.raises(GateRefusedError, match="k"):
        done.fit.require_passed(strict)
    monkeypatch.setattr(type(done.fit), "require_passed", lambda self: refuse(self, strict))
    with pytest.raises(GateRefusedError):
        report_of(done.fit, folder=tmp_path / "report", backtest_years=0)
    assert list(tmp_path.iterdir()) == []


def refuse(fit: object, thresholds: Thresholds) -> None:
    failures = fit.gate(thresholds).failures  # type: ignore[attr-defined]
    assert failures
    raise GateRefusedError("; ".join(failures))


def test_an_interrupted_report_leaves_the_old_one(
    done: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p.name: p.read_bytes() for p in (place / "report").iterdir()}
    assert before
    import pandas

    calls = []

    def broken(self: pd.DataFrame, *args: object, **kwargs: object) -> None:
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(pandas.DataFrame, "to_parquet", broken)
    with pytest.raises(KeyboardInterrupt):
        report_of(done.fit, folder=place / "report", scenarios=[], horizon=1, backtest_years=0)
    assert calls
    assert {p.name: p.read_bytes() for p in (place / "report").iterdir()} == before
    assert sorted(p.name for p in place.iterdir()) == ["report", "store"]


def test_import_is_light() -> None:
    code = (
        "import sys, forecast; heavy = {'pymc', 'pandas', 'numba', 'matplotlib', 'arviz', 'xarray'}"
        "; print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout.replace("'", '"')) == []


def test_the_public_names_are_there() -> None:
    import forecast

    for name in forecast.__all__:
        assert callable(getattr(forecast, name)) or name == "plot", name
    with pytest.raises(AttributeError):
        forecast.no_such_name  # noqa: B018


# ------------------------------------------------------------------------- historical data


def test_the_model_of_the_data() -> None:
    assert default_model("embedded") == default_model("some/folder") == "dyad_onset"
    assert default_model("historical") == "dyad_onset_historical"


def test_the_historical_model_is_about_the_same_rows() -> None:
    """Its terms were chosen on two centuries; its eras reach back without a gap."""
    ours, theirs = load_model("dyad_onset_historical"), load_model("dyad_onset")
    for key in ("unit", "population", "outcome", "under_way", "lag"):
        assert getattr(ours, key) == getattr(theirs, key)
    assert ours.population == "all"
    # No row may be left out because a state is new or a source begins late.
    assert {term.missing for term in ours.terms} <= {"error", "indicator"}
    eras = ours.eras
    assert eras[0].first <= 1900
    assert eras[-1].last is None
    for before, after in pairwise(eras):
        assert after.first == before.last + 1


def test_stock_scenarios_are_about_years_after_the_embedded_data() -> None:
    stock = stock_scenarios()
    can, cannot = applicable(stock, first_year=2026, last_year=2030)
    assert can == stock
    assert cannot == []
    assert applicable(stock, first_year=2001, last_year=2005) == ([], stock)


@pytest.mark.reference
def test_the_years_of_the_historical_data_are_said(historical: Tables, tables: Tables) -> None:
    first, second = data_notices(historical, origin=2000, horizon=5)
    assert "conflicts 1816–2000 (Gibler-Miller-Little" in first
    assert "alliances 1815–2025" in first
    assert "changes after 2016 from the embedded data" in first
    assert "the forecast is for 2001–2005, not for today" in first
    assert "which nobody knew in 2000" in second
    assert data_notices(tables, origin=2025, horizon=5) == []


@pytest.mark.reference
def test_the_main_job_on_a_part_of_the_historical_data(
    historical: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fit, store, reload, forecast and report; a short stretch of years keeps the test short."""
    of_years(monkeypatch, 1991, 2000, data=historical)
    written = run(
        data="historical",
        folder=tmp_path / "report",
        store=tmp_path / "store",
        draws=100,
        horizon=1,
        backtest_years=0,
        seed=3,
    )
    assert written.fit.spec.name == "dyad_onset_historical"
    notices = written.report.summary[:3]
    assert "the forecast is for 2001" in notices[0]
    assert "Stock scenarios that cannot apply to a forecast for 2001" in notices[2]
    assert "(amended after 2016)" in written.report.page.read_text(encoding="utf-8")
    risks = pd.read_parquet(tmp_path / "report" / "risks.parquet")
    assert set(risks["first_year"]) == {2001}
    loaded = open_store(tmp_path / "store").load(written.fit.id)
    assert loaded.panel.tables is not None
    assert set(loaded.panel.tables.extra) == set(historical.extra)
    assert loaded.panel.tables.coverage["conflicts"] == historical.coverage["conflicts"]


def test_unknown_theories_are_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "load_panel", lambda **_: pytest.fail("loaded"))
    with pytest.raises(UnknownNameError, match="Did you mean 'history'"):
        run(folder=tmp_path / "report", store=tmp_path / "store", theories=["histry"])


@pytest.mark.long
def test_scenarios_under_theories_are_in_the_report_when_asked(
    done: Run, place: Path, tmp_path: Path
) -> None:
    assert not list((place / "report").glob("*theories*"))
    with pytest.MonkeyPatch.context() as patch:
        of_years(patch, 2021, 2025)
        found = run(
            folder=tmp_path / "report",
            store=tmp_path / "store",
            scenarios=stock_scenarios()[1:2],
            draws=200,
            horizon=2,
            backtest_years=0,
            theories=["none"],
            seed=7,
        )
    assert "Rival theories" in json.loads((tmp_path / "report" / "report.json").read_text())[
        "seconds"
    ]  # fmt: skip
    theories = pd.read_parquet(tmp_path / "report" / "theories.parquet")
    assert theories["theory"].tolist() == ["own priors", "none"]
    # The shipped model: its forecasts are on record, and refute the theory.
    assert theories["standing"].tolist() == ["stands", "refuted"]
    (pairs,) = (tmp_path / "report").glob("scenario_*_theories.parquet")
    table = pd.read_parquet(pairs)
    assert (table.loc[table["theory"] == "none", "difference"] == 0.0).all()
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Refuted by the record, and without a vote: none 0, by construction." in page
    # The newest of the store is the fit under its own priors, which queries open.
    assert open_store(tmp_path / "store").newest() == found.fit.id
