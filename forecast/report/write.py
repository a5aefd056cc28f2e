"""`write_report`: tables, page and ``report.json`` into one folder, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.files import replace_folder
from forecast.report import Report
from forecast.report.earlier import KIND, Earlier, changes_since, read_earlier
from forecast.report.files import as_csv, digest, rounded, write_tables
from forecast.report.page import Setting, render_page
from forecast.report.summary import summarise
from forecast.report.tables import origin_year, tables_of

if TYPE_CHECKING:
    from forecast.report import Findings

__all__ = ["write_report"]

_VERSION = 1


@dataclass(frozen=True)
class _Since:
    """How this report stands to the one that was there before."""

    changed: bool | None
    since: str
    compared_with: str | None
    changes: pd.DataFrame | None


def write_report(findings: Findings, folder: Path) -> Report:
    """Write the page and its tables into a folder that becomes the report.

    Parameters
    ----------
    findings : Findings
        Results to show.
    folder : Path
        Absent, empty, or an earlier report; what is in it and not of the report is kept.

    Returns
    -------
    Report

    Raises
    ------
    ArgumentError
        The folder holds other things, or one that has the name of a file of the report; or the
        findings lack what a report shows.
    ArtifactError
        The earlier report in the folder cannot be read.

    Notes
    -----
    The digest is over all tables, rounded to 12 significant digits; no time of day and no wall
    time is in them. When nothing has changed, the comparison with the report before the last
    change stays, so that a daily run does not wipe out what changed last week.
    """
    earlier = read_earlier(folder)
    findings = _recorded(findings)
    tables = tables_of(findings)
    csv = as_csv(tables)
    sha256 = digest(csv)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    since = _compare(tables["risks"], sha256, earlier, now)
    origin = origin_year(findings)
    passed = bool(findings.fit.gate().passed)
    sentences = summarise(
        tables,
        scenarios=list(findings.scenarios),
        model=findings.fit.spec.name if findings.backtest is None else findings.backtest.model,
        observed=_observed(findings, origin),
        passed=passed,
    )
    summary = (*findings.notices, *sentences)
    setting = Setting(
        origin=origin,
        sha256=sha256,
        generated=now,
        changed=since.changed,
        since=since.since,
        compared_with=since.compared_with,
        passed=passed,
    )
    page = render_page(findings, tables, since.changes, summary, setting)
    ours = earlier.facts["files"] if earlier else ()
    with replace_folder(folder, ours=ours, keep=True) as staging:
        written = write_tables(tables, csv, staging)
        if since.changes is not None:
            since_then = {"changes": since.changes}
            written |= write_tables(since_then, as_csv(since_then), staging)
        (staging / "index.html").write_text(page, encoding="utf-8")
        files = [
            "index.html", "report.json", *(name for names in written.values() for name in names),
        ]  # fmt: skip
        facts = _facts(findings, setting, summary, tables, written, files)
        (staging / "report.json").write_text(
            json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )
    return Report(
        page=folder / "index.html",
        tables=tuple(folder / name for names in written.values() for name in names),
        sha256=sha256,
        changed=since.changed,
        summary=summary,
    )


def _recorded(findings: Findings) -> Findings:
    """The findings with a calibration record: the fit's own, or that of the backtest."""
    from forecast.evaluation.calibration_record import record_of

    fit, backtest = findings.fit, findings.backtest
    if fit.record is not None or backtest is None:
        return findings
    record = record_of(backtest, specification=fit.spec.sha256, tables=fit.panel.tables)
    return replace(findings, fit=replace(fit, record=record))


def _compare(risks: pd.DataFrame, sha256: str, earlier: Earlier | None, now: str) -> _Since:
    if earlier is None:
        return _Since(changed=None, since=now, compared_with=None, changes=None)
    facts = earlier.facts
    if facts["sha256"] == sha256:
        return _Since(
            changed=False,
            since=str(facts.get("since") or facts["generated"]),
            compared_with=facts.get("compared_with"),
            changes=earlier.changes,
        )
    since = _Since(changed=True, since=now, compared_with=None, changes=None)
    changes = rounded(changes_since(risks, earlier.risks))
    return replace(since, compared_with=str(facts["generated"]), changes=changes)


def _observed(findings: Findings, origin: int) -> dict[int, int]:
    """Onsets on record by year, over the rows of the fit's panel."""
    rows = findings.fit.panel.data
    year, outcome = rows["year"].to_numpy(), rows["outcome"].to_numpy()
    known = ~np.isnan(outcome) & (year <= origin)
    years, index = np.unique(year[known], return_inverse=True)
    sums = np.bincount(index, weights=outcome[known]) if years.size else np.array([])
    return {int(y): int(n) for y, n in zip(years, sums, strict=True)}


def _facts(
    findings: Findings,
    setting: Setting,
    summary: tuple[str, ...],
    tables: dict[str, pd.DataFrame],
    written: dict[str, list[str]],
    files: list[str],
) -> dict[str, Any]:
    """Content of ``report.json``."""
    fit = findings.fit
    return {
        "kind": KIND,
        "version": _VERSION,
        "sha256": setting.sha256,
        "changed": setting.changed,
        "since": setting.since,
        "compared_with": setting.compared_with,
        "generated": setting.generated,
        "summary": list(summary),
        "origin": setting.origin,
        "fit": fit.to_dict(),
        "specification_sha256": fit.spec.sha256,
        "gate_passed": setting.passed,
        "checks": {check.name: check.passed for check in findings.checks},
        "scenarios": {
            name: {
                "edits": [str(edit) for edit in result.attrs["edits"]],
                "caution": str(result.attrs["caution"]),
                "first_year": result.attrs["first_year"],
                "extrapolation": str(result.attrs["extrapolation"]),
            }
            for name, result in findings.scenarios.items()
        },
        "backtest": None
        if findings.backtest is None
        else {k: findings.backtest.settings.get(k) for k in ("origins", "horizons", "seed")},
        "seconds": {name: round(float(value), 3) for name, value in findings.seconds.items()},
        "tables": {
            name: {"files": names, "rows": len(tables[name])}
            for name, names in written.items()
            if name in tables
        },
        "files": files,
    }
