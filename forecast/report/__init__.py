"""One self-contained HTML page, with its tables as Parquet, CSV and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast.errors import wrong_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import xarray as xr

    from forecast.evaluation.backtest import Backtest
    from forecast.evaluation.checks import CheckResult
    from forecast.inference.fit import Fit
    from forecast.risk.initiation import Initiation

__all__ = ["Findings", "Report", "report"]


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that a report shows.

    Attributes
    ----------
    fit : Fit
        The fit, with its panel, specification and diagnostics.
    risks : pandas.DataFrame
        ``forecast.risk(fit, horizon=5)``: one row per dyad and years ahead.
    status_quo : xarray.Dataset
        ``forecast.simulate(fit, horizon=5)``.
    scenarios : mapping of str to xarray.Dataset
        ``forecast.simulate(fit, scenario, horizon=5)`` by scenario name.
    checks : sequence of CheckResult
        ``forecast.check(fit)``.
    backtest : Backtest or None
        Rolling-origin backtest of the same specification.
    initiations : mapping of str to Initiation
        ``forecast.initiation(directed_fit, scenario)`` by scenario name; may lack some.
    seconds : mapping of str to float
        Wall time of each step, by name. Shown, but not part of the report's identity.
    theories : mapping of str to xarray.Dataset
        The scenarios under rival theories (`forecast.simulation.rivals.simulate_rivals`) by
        scenario name; empty unless asked for.
    severe_risks : pandas.DataFrame or None
        ``forecast.risk(fit, horizon=5, severity="deaths_25")``: what the page leads with. Without
        it, it is of onsets alone.
    severe_status_quo : xarray.Dataset or None
        ``forecast.simulate(fit, horizon=5, severity="deaths_25")``: the map of it.
    notices : sequence of str
        Sentences that a reader must see first: years of the data, what was left out.
    """

    fit: Fit
    risks: pd.DataFrame
    status_quo: xr.Dataset
    scenarios: Mapping[str, xr.Dataset]
    checks: Sequence[CheckResult]
    backtest: Backtest | None = None
    initiations: Mapping[str, Initiation] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    theories: Mapping[str, xr.Dataset] = field(default_factory=dict)
    severe_risks: pd.DataFrame | None = None
    severe_status_quo: xr.Dataset | None = None
    notices: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes
    ----------
    page : Path
        The HTML file.
    tables : tuple of Path
        Files beside it.
    sha256 : str
        Digest of all numbers in the tables: equal digests, equal numbers.
    changed : bool or None
        Whether a number differs from the report that was there before; None without one.
    summary : tuple of str
        The sentences at the top of the page, notices on the data first.
    """

    page: Path
    tables: tuple[Path, ...]
    sha256: str
    changed: bool | None
    summary: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {
            "page": str(self.page),
            "tables": [str(path) for path in self.tables],
            "sha256": self.sha256,
            "changed": self.changed,
            "summary": list(self.summary),
        }


def report(findings: Findings, folder: str | Path = "forecast-report") -> Report:
    """Write the report page and its tables into a folder, whole or not at all.

    Parameters
    ----------
    findings : Findings
        Results to show.
    folder : str or Path
        Replaced as a whole when everything is written; an earlier report in it is read first,
        for the change since then.

    Returns
    -------
    Report

    Raises
    ------
    ArgumentError
        No findings, or those of a panel that came from a frame: no states, borders or alliances are
        known behind its rows that a report could show.
    """
    from forecast.inference.fit import Fit
    from forecast.report.write import write_report
    from forecast.simulation.paired import tables_of

    fit = findings.fit if isinstance(findings, Findings) else findings
    if isinstance(fit, Fit):
        tables_of(fit)
    if not isinstance(findings, Findings):
        raise wrong_type(
            "report",
            findings,
            "forecast.report.Findings, as forecast.run makes them (`forecast run` does all of it).",
        )
    return write_report(findings, Path(folder))
