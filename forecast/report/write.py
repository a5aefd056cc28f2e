"""`write_report`: tables, page and ``report.json`` into one folder, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.csv_text import as_csv
from forecast.folders import replace_folder, write_all
from forecast.report import Report
from forecast.report.files import (
    KIND,
    Edition,
    digest,
    edition_after,
    packed_tables,
    read_earlier,
)
from forecast.report.page import render_page
from forecast.report.summary import summarise
from forecast.report.tables import origin_year, tables_of

if TYPE_CHECKING:
    from forecast.report import Findings

__all__ = ["write_report"]

_VERSION = 1


def write_report(findings: Findings, folder: Path) -> Report:
    """Write the page and its tables into a folder that becomes the report.

    The folder is absent, empty, or an earlier report; what is in it and not of the report is kept.
    The digest is over all tables, rounded to 12 significant digits; no time of day and no wall
    time is in them.

    Raises
    ------
    ArgumentError
        The folder holds other things, or one that has the name of a file of the report; or the
        findings lack what a report shows.
    ArtifactError
        The earlier report in the folder cannot be read.
    """
    earlier = read_earlier(folder)
    findings = _recorded(findings)
    tables = tables_of(findings)
    csv = {name: as_csv(table) for name, table in tables.items()}
    origin = origin_year(findings)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    passed = bool(findings.fit.gate().passed)
    new = Edition(origin=origin, passed=passed, sha256=digest(csv), generated=now, since=now)
    edition = edition_after(earlier, new, tables["risks"])
    sentences = summarise(
        tables,
        scenarios=list(findings.scenarios),
        model=findings.fit.spec.name if findings.backtest is None else findings.backtest.model,
        observed=_observed(findings, origin),
        passed=passed,
    )
    summary = (*findings.notices, *sentences)
    page = render_page(findings, tables, summary, edition)
    packed = packed_tables(tables, csv)
    if edition.changes is not None:
        since_then = {"changes": edition.changes}
        packed |= packed_tables(
            since_then, {name: as_csv(table) for name, table in since_then.items()}
        )
    written = {name: list(files) for name, files in packed.items()}
    facts = _facts(findings, edition, summary, tables, written)
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files = {"index.html": page.encode(), "report.json": text.encode()}
    for content in packed.values():
        files |= content
    with replace_folder(folder, keep=True) as staging:
        write_all(staging, files)
    return Report(
        page=folder / "index.html",
        tables=tuple(folder / name for names in written.values() for name in names),
        sha256=edition.sha256,
        changed=edition.changed,
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


def _observed(findings: Findings, origin: int) -> dict[int, int]:
    """Onsets on record by year, over the rows of the fit's panel."""
    rows = findings.fit.panel.data
    year, outcome = rows["year"].to_numpy(), rows["outcome"].to_numpy()
    known = ~np.isnan(outcome) & (year <= origin)
    sums = pd.Series(outcome[known]).groupby(year[known]).sum()
    return {int(y): int(n) for y, n in zip(sums.index, sums, strict=True)}


def _facts(
    findings: Findings,
    edition: Edition,
    summary: tuple[str, ...],
    tables: dict[str, pd.DataFrame],
    written: dict[str, list[str]],
) -> dict[str, Any]:
    """Content of ``report.json``."""
    fit = findings.fit
    return {
        "kind": KIND,
        "version": _VERSION,
        **{
            key: getattr(edition, key)
            for key in ("sha256", "changed", "since", "compared_with", "generated")
        },
        "summary": list(summary),
        "origin": edition.origin,
        "fit": fit.to_dict(),
        "specification_sha256": fit.spec.sha256,
        "gate_passed": edition.passed,
        "checks": {check.name: check.passed for check in findings.checks},
        "scenarios": {
            name: {
                "edits": [str(edit) for edit in result.attrs["edits"]],
                **{key: result.attrs[key] for key in ("caution", "first_year", "extrapolation")},
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
        "files": ["index.html", "report.json", *(n for names in written.values() for n in names)],
    }
