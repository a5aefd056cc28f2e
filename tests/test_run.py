"""The main job on the embedded data, once for all tests of this file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import GateRefusedError
from forecast.inference.diagnostics import Thresholds
from forecast.run import Run, report_of, run, stock_scenarios
from forecast.store import open_store


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("main-job")


@pytest.fixture(scope="module")
def done(place: Path) -> Run:
    return run(
        folder=place / "report",
        store=place / "store",
        scenarios=stock_scenarios()[:1],
        draws=200,
        horizon=3,
        backtest_years=1,
        seed=7,
    )


def test_the_fit_passes_the_gate_and_is_in_the_store(done: Run, place: Path) -> None:
    assert done.fit.gate().passed, done.fit.gate().failures
    assert open_store(place / "store").newest() == done.fit.id


def test_the_report_is_there_with_its_tables(done: Run, place: Path) -> None:
    assert done.report.page == (place / "report" / "index.html").resolve()
    assert len(done.report.summary) == 5
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
        assert callable(getattr(forecast, name)), name
    with pytest.raises(AttributeError):
        forecast.no_such_name  # noqa: B018
