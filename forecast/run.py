"""The main job: panel → fit → checks → risks → scenarios → backtest → report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from forecast.draws import check_whole
from forecast.errors import UnknownNameError
from forecast.parallel import beside

if TYPE_CHECKING:
    import xarray as xr

    from forecast.evaluation.backtest import Backtest
    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.inference.fit import Fit
    from forecast.modeling.spec import ModelSpec
    from forecast.panel.events import UnderWay
    from forecast.report import Report
    from forecast.simulation.scenario import Scenario

__all__ = [
    "DRAWS",
    "SEED",
    "Run",
    "fit_and_save",
    "panel_options",
    "report_of",
    "run",
]

Method = Literal["laplace", "nuts"]

SEED = 20251231
#: Posterior draws of the main job: as many as its importance weights are worth.
DRAWS = 500
#: Years of the short backtest that every report carries.
BACKTEST_YEARS = 3
#: It is refitted every third year: a fit to a million rows forecasts the next three years.
_BACKTEST_REFIT = 3
#: Posterior draws of each of its fits: enough for a posterior mean, a third of the time.
_BACKTEST_DRAWS = 200
#: The check that waits for the calibration record of the backtest.
_OF_RECORD = "reliability"


class FitOptions(TypedDict, total=False):
    """What may be said of the fit of the main job."""

    method: Method
    seed: int
    draws: int


#: Bytes on disk: of a fit without its draws, of a draw (of two thousand numbers), of a report.
_FIT_BYTES, _DRAW_BYTES, _REPORT_BYTES = 32_000_000, 16_000, 32_000_000
_DEFAULTS: FitOptions = {"method": "laplace", "seed": SEED, "draws": DRAWS}


@dataclass(frozen=True, eq=False)
class Run:
    """What the main job left behind: the fit, its id in the store, and the report."""

    fit: Fit
    report: Report


class _Clock:
    """Names and wall times of the steps, shown on a terminal if asked for."""

    def __init__(self, progress: bool) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        begun = time.perf_counter()
        if self._progress:
            from rich.console import Console

            console = Console(stderr=True)
            with console.status(name):
                yield
            console.print(f"[green]✓[/] {name} [dim]{time.perf_counter() - begun:.1f} s[/]")
        else:
            yield
        self.seconds[name] = time.perf_counter() - begun


def run(
    *,
    data: str | Path = "embedded",
    model: str | Path | None = None,
    folder: str | Path = "forecast-report",
    store: str | Path = "artifacts",
    scenarios: Sequence[Scenario] | None = None,
    horizon: int = 5,
    backtest_years: int = BACKTEST_YEARS,
    theories: Sequence[str | Path] = (),
    progress: bool = False,
    **fit: Unpack[FitOptions],
) -> Run:
    """Do the main job and write its report.

    Parameters
    ----------
    data : str or Path
        ``"embedded"``, ``"historical"`` (the official files in the cache, from 1816; the report
        says first which years they cover), or a folder in the layout of the embedded data set.
    model : str or Path, optional
        Dyad-year model, by name or file; that of the data by default (`default_model`).
    folder, store : str or Path
        Where the report and the fit go.
    scenarios : sequence of Scenario, optional
        By default the stock scenarios; of them those that take effect in the years ahead, and the
        report names the others.
    horizon : int
        Years ahead.
    backtest_years : int
        Last years of the record that are forecast anew without hindsight; 0 for no backtest.
    theories : sequence of str or Path
        Answer the scenarios under these theories too (`forecast.modeling.theory`): a fit and a
        simulation more for each. None by default.
    progress : bool
        Whether to show the steps on the terminal.
    **fit
        Of the fit: ``method`` ("laplace" or "nuts"), ``seed`` (every random number of the run
        descends from it) and ``draws`` of the posterior, 500 by default.

    Raises
    ------
    GateRefusedError
        The fit did not pass the publication gate; nothing is written.
    ArgumentError, UnknownNameError
        `folder` holds something else than an earlier report, or an option cannot be used: found
        before the fit.
    """
    from forecast.folders import check_target
    from forecast.modeling.spec import default_model, load_model
    from forecast.report.files import read_earlier

    _check_years(horizon, backtest_years)
    check_target(Path(folder), (), needs=_REPORT_BYTES)
    read_earlier(Path(folder))
    for theory in theories:  # what is wrong with one is said before the fit
        load_model(default_model(data) if model is None else model).under(theory)
    clock = _Clock(progress)
    fitted = fit_and_save(data=data, model=model, store=store, clock=clock, **fit)
    written, fitted = _report(
        fitted,
        folder=Path(folder),
        scenarios=scenarios,
        horizon=horizon,
        backtest_years=backtest_years,
        theories=theories,
        store=store,
        clock=clock,
    )
    return Run(fit=fitted, report=written)


def fit_and_save(
    *,
    data: str | Path,
    model: str | Path | None = None,
    store: str | Path,
    progress: bool = False,
    clock: _Clock | None = None,
    **options: Unpack[FitOptions],
) -> Fit:
    """Panel, fit, gate, store: the part of the main job before anything is forecast.

    Raises
    ------
    GateRefusedError
        The fit did not pass the publication gate; it is not saved.
    """
    from forecast.inference.fit import fit
    from forecast.inference.sampling import checked_options
    from forecast.modeling.encoding import complete
    from forecast.modeling.spec import default_model, load_model
    from forecast.panel.build import load_panel
    from forecast.store import open_store

    clock = clock or _Clock(progress)
    asked = _DEFAULTS | options
    if unknown := [name for name in asked if name not in _DEFAULTS]:
        raise UnknownNameError("option of a fit", unknown[0], _DEFAULTS)
    checked_options({}, workers=1, **asked)
    opened = open_store(store)
    opened.check(_FIT_BYTES + int(asked["draws"]) * _DRAW_BYTES)
    spec = load_model(default_model(data) if model is None else model)
    with clock.step("Panel"):
        # With its columns: the checks and the record of the fit read them again.
        panel = complete(load_panel(data=data, **panel_options(spec)), spec.entries)
    with clock.step(f"Fit ({asked['method']})"):
        fitted = fit(spec, panel, **asked).require_passed()
    with clock.step("Save the fit"):
        opened.save(fitted)
    return fitted


def _check_years(horizon: int, backtest_years: int) -> None:
    """Refuse years ahead, and years that are forecast anew, that there cannot be."""
    check_whole("horizon", horizon, 1, 20)
    check_whole("backtest_years", backtest_years, 0, 100)


def panel_options(spec: ModelSpec, under_way: UnderWay | None = None) -> dict[str, Any]:
    """Arguments of `load_panel` that give the panel a specification asks for, or another rule's."""
    options = spec.choices
    return options if under_way is None else options | {"under_way": under_way}


def report_of(
    fit: Fit,
    *,
    folder: str | Path,
    scenarios: Sequence[Scenario] | None = None,
    horizon: int = 5,
    backtest_years: int = BACKTEST_YEARS,
    store: str | Path | None = None,
    progress: bool = False,
) -> Report:
    """Checks, risks, scenarios and backtest of a fit, written as a report.

    Parameters
    ----------
    fit : Fit
        Fit of a dyad-year model.
    folder : str or Path
        Where the report goes.
    scenarios, horizon, backtest_years, progress
        See `run`. Without a backtest the report shows the calibration record that travels with
        the fit, if there is one.
    store : str or Path, optional
        Store that has the fit: the calibration record of the backtest is put beside it there,
        unless the one that is there is of more forecasts.

    Raises
    ------
    GateRefusedError
        The fit did not pass the publication gate; nothing is written.
    ArgumentError
        `folder` holds something else than an earlier report.
    """
    from forecast.folders import check_target
    from forecast.report.files import read_earlier

    _check_years(horizon, backtest_years)
    check_target(Path(folder), (), needs=_REPORT_BYTES)
    read_earlier(Path(folder))
    written, _ = _report(
        fit,
        folder=Path(folder),
        scenarios=scenarios,
        horizon=horizon,
        backtest_years=backtest_years,
        store=store,
        clock=_Clock(progress),
    )
    return written


def _report(
    fit: Fit,
    *,
    folder: Path,
    scenarios: Sequence[Scenario] | None,
    horizon: int,
    backtest_years: int,
    store: str | Path | None,
    theories: Sequence[str | Path] = (),
    clock: _Clock,
) -> tuple[Report, Fit]:
    """The report, and the fit with the calibration record that the report shows."""
    from forecast.evaluation.checks import CHECKS, check
    from forecast.report import Findings, report
    from forecast.risk.initiation import initiations
    from forecast.risk.query import remember, risk
    from forecast.simulation.paired import origin_of, simulate_all, status_quo
    from forecast.simulation.rivals import simulate_rivals

    fit.require_passed()
    last = origin_of(fit)
    chosen, notices = _scenarios(fit, scenarios, last, horizon)
    years = range(last - backtest_years + 1, last + 1)
    at_once = [name for name in CHECKS if name != _OF_RECORD]
    # Fits leave Python's lock most of the time: what needs no simulation takes the second core.
    with beside() as second:
        pending = second.submit(_backtested, fit, years) if backtest_years else None
        directed = second.submit(initiations, fit, chosen)
        checked = second.submit(check, fit, seed=fit.seed, checks=at_once)
        with clock.step("Risks"):
            now = status_quo(fit, horizon=horizon, draws=None, seed=fit.seed)
            remember(fit, now)
            risks = risk(fit, horizon=horizon)
            deaths = "deaths_25" not in now.severity.unrecorded
            severe = risk(fit, horizon=horizon, severity="deaths_25") if deaths else None
        with clock.step("Scenarios"):
            ahead, *simulated = simulate_all(fit, chosen, horizon=horizon, now=now)
            deadly = (
                simulate_all(fit, (), horizon=horizon, now=now, severity="deaths_25")[0]
                if deaths
                else None
            )
        del now
        rivals: list[xr.Dataset] = []
        if theories and chosen:
            with clock.step("Rival theories"):
                rivals = simulate_rivals(fit, chosen, theories, own=simulated, horizon=horizon)
        with clock.step(f"Backtest {years.start}–{last}" if pending else "No backtest"):
            scored, made = (None, None) if pending is None else pending.result()
        with clock.step("Who would begin"):
            begins, silent = directed.result()
        with clock.step("Checks"):
            checks = checked.result()
    if made is not None:
        fit = _with_record(fit, made, store)
    checks += check(fit, seed=fit.seed, checks=[_OF_RECORD])
    findings = Findings(
        fit=fit,
        risks=risks,
        status_quo=ahead,
        scenarios={s.name: result for s, result in zip(chosen, simulated, strict=True)},
        checks=checks,
        backtest=scored,
        initiations=begins,
        theories={s.name: result for s, result in zip(chosen, rivals, strict=False)},
        seconds=clock.seconds,
        severe_risks=severe,
        severe_status_quo=deadly,
        notices=[*notices, *silent],
    )
    with clock.step("Report"):
        return report(findings, folder), fit


def _scenarios(
    fit: Fit, given: Sequence[Scenario] | None, last: int, horizon: int
) -> tuple[list[Scenario], list[str]]:
    """Scenarios of the report, by default the stock ones that can apply; what is said first."""
    from forecast.report.summary import data_notices
    from forecast.simulation.scenario import applicable, stock_scenarios

    years = {"first_year": last + 1, "last_year": last + horizon}
    chosen, left_out = applicable(stock_scenarios(), **years) if given is None else (given, [])
    assert fit.panel.tables is not None
    notices = data_notices(fit.panel.tables, origin=last, horizon=horizon, left_out=left_out)
    return list(chosen), notices


def _backtested(fit: Fit, years: range) -> tuple[Backtest, CalibrationRecord]:
    """The short backtest of the report, and the calibration record that it makes."""
    from forecast.evaluation.backtest import BacktestPlan, backtest
    from forecast.evaluation.calibration_record import record_of

    plan = BacktestPlan(
        model=fit.spec, origins=years, draws=_BACKTEST_DRAWS, refit=_BACKTEST_REFIT, seed=fit.seed
    )
    made = backtest(plan, fit.panel)
    return made, record_of(made, specification=fit.spec.sha256, tables=fit.panel.tables)


def _with_record(fit: Fit, made: CalibrationRecord, store: str | Path | None) -> Fit:
    """The fit with the record of its backtest, in the store too.

    A record of more forecasts, made of a longer backtest of the same specification, stays.
    """
    from forecast.store import open_store

    known = fit.record
    if known is not None and known.specification == fit.spec.sha256 and known.rows > made.rows:
        return fit
    if store is not None:
        open_store(store).save_record(fit.id, made)
    return replace(fit, record=made)
