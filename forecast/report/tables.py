"""Every number of a report as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError
from forecast.inference.summary import diagnostics_table
from forecast.panel.rows import relevant_pairs
from forecast.report import scenarios
from forecast.report.alliances import alliance_changes, alliance_features
from forecast.report.files import rounded
from forecast.report.scenarios import rival_tables
from forecast.risk.pair_answer import date_words
from forecast.simulation.dynamics import STATUSES
from forecast.text import slug

if TYPE_CHECKING:
    from forecast.evaluation.backtest import Backtest
    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.report import Findings
    from forecast.sources.tables import Tables

__all__ = ["check_inputs", "origin_year", "state_risks", "tables_of"]

#: Rows that depend on the machine and the hour.
#: Tables of the parts of `Fit.summary`.
_PARTS = {"coefficient": "terms", "slope": "slopes", "scale": "scales"}
_CLOCKS = ("wall_seconds", "peak_memory_mb")
_RISKS = (
    "ccode_a", "ccode_b", "state_a", "state_b", "horizon", "first_year", "last_year",
    "probability", "lower", "upper", "interval_kind", "interval_level", "stratum", "base_rate",
    "base_population", "ratio", "status", "still_under_way", "still_lower", "still_upper",
    "handling",
)  # fmt: skip
_DISPUTES = (
    "ccode_a", "ccode_b", "state_a", "state_b", "status", "conflict_id", "conflict", "since", "end",
    "deaths_class",
)  # fmt: skip


def check_inputs(findings: Findings) -> Tables:
    """Tables behind the findings, which have all that the page shows; else ArgumentError."""
    tables = findings.fit.panel.tables
    if tables is None or findings.fit.panel.world is None:
        raise ArgumentError(
            "The fit's panel has no tables or no world; a report shows alliances, relevance and"
            " vintage from them. Make the panel with load_panel(data=…)."
        )
    missing = [name for name in _RISKS if name not in findings.risks]
    if missing or findings.risks.empty:
        found = f"lacks {', '.join(missing)}" if missing else "is empty"
        raise ArgumentError(f"findings.risks {found}; expected the table of forecast.risk(fit).")
    if not np.isfinite(findings.risks["probability"]).all():
        raise ArgumentError("findings.risks has a probability that is not a finite number.")
    return tables


def origin_year(findings: Findings) -> int:
    """Last year of the record: the year before the forecasts begin."""
    return int(findings.risks["first_year"].min()) - 1


def tables_of(findings: Findings) -> dict[str, pd.DataFrame]:
    """Every table, rounded, by the name of its files; nothing in them depends on the clock."""
    tables = check_inputs(findings)
    world = findings.fit.panel.world
    assert world is not None
    origin = origin_year(findings)
    changes = alliance_changes(tables)
    risks = findings.risks.assign(relevant=_relevant(findings.risks, world, origin))
    found: dict[str, pd.DataFrame] = {
        "risks": risks,
        "disputes": dispute_table(risks, tables, origin),
        "states": state_risks(findings.status_quo, tables),
        "regions": scenarios.region_table(findings.status_quo),
        "alliance_changes": changes,
        "alliance_features": alliance_features(world, changes, tables),
    }
    if findings.severe_risks is not None:
        found["risks_deaths_25"] = findings.severe_risks.assign(relevant=risks["relevant"])
    if findings.severe_status_quo is not None:
        found["states_deaths_25"] = state_risks(findings.severe_status_quo, tables)
    for name, result in findings.scenarios.items():
        found |= scenarios.scenario_tables(name, result, tables, origin)
        if name in findings.initiations:
            found[f"scenario_{slug(name)}_initiation"] = findings.initiations[name].table
    found |= rival_tables(findings.theories)
    if findings.backtest is not None:
        found |= _backtest(findings.backtest)
    if findings.fit.record is not None:
        found |= _record(findings.fit.record)
    found["checks"] = pd.DataFrame(
        [{"check": c.name, "passed": c.passed, "text": c.text} for c in findings.checks],
        columns=["check", "passed", "text"],
    )
    for check in findings.checks:
        found[f"check_{slug(check.name)}"] = _timeless(check.table)
    found |= {
        "diagnostics": diagnostics_table(findings.fit),
        "coverage": pd.DataFrame(
            [
                {"table": name}
                | c.to_dict()
                | {key: "; ".join(getattr(c, key)) for key in ("notes", "amended_by")}
                | {
                    "recall": c.recall_words(origin + 1, findings.fit.spec.outcome),
                    "columns": "; ".join(f"{k} {a}–{b}" for k, (a, b) in c.columns.items()),
                }
                for name, c in tables.coverage.items()
            ]
        ).astype({"amended_after": "Int64", "declared_after": "Int64"}),
    }
    summary = findings.fit.summary().reset_index()
    for kind, table in summary.groupby("kind", sort=False):
        found[_PARTS[str(kind)]] = table.dropna(axis="columns", how="all").drop(columns="kind")
    return {name: rounded(table) for name, table in found.items()}


def _relevant(risks: pd.DataFrame, world: xr.Dataset, origin: int) -> npt.NDArray[np.bool_]:
    """Whether the two are politically relevant at the end of the record."""
    relevant = relevant_pairs(world.sel(year=[origin]))[0]
    place = pd.Index(world["state"].to_numpy())
    return np.asarray(
        relevant[place.get_indexer(risks["ccode_a"]), place.get_indexer(risks["ccode_b"])]
    )


def dispute_table(risks: pd.DataFrame, tables: Tables, origin: int) -> pd.DataFrame:
    """The conflicts that are under way at the end of the record, and those that ended in its year.

    One row per pair whose ``status`` is not at peace: under way first, and of these the
    deadliest. ``since`` and ``end`` are as much of the ISO date as is known, ``deaths_class`` is of
    the pair as recorded, so far.
    """
    from forecast.simulation.ending import disputes_at

    first = risks[(risks["horizon"] == 1) & (risks["status"] != STATUSES[0])]
    known = disputes_at(tables, origin).reset_index()

    def text(name: str) -> list[str]:
        parts = zip(known[name], known[f"{name}_precision"], strict=True)
        return [
            "" if pd.isna(date) else date_words(date.date().isoformat(), str(precision))
            for date, precision in parts
        ]

    known = known.assign(since=text("start"), end=text("end"))
    known.loc[known["open"], "end"] = ""
    table = first.merge(known, on=["ccode_a", "ccode_b"], how="left").rename(
        columns={"name": "conflict"}
    )
    table = table.fillna({"since": "", "end": ""})
    going = table["status"] == STATUSES[2]
    table = table.assign(_going=going).sort_values(
        ["_going", "deaths_class", "since", "ccode_a", "ccode_b"],
        ascending=[False, False, True, True, True], ignore_index=True,
    )  # fmt: skip
    return table[list(_DISPUTES)]


def state_risks(result: xr.Dataset, tables: Tables) -> pd.DataFrame:
    """Probability that a state is a party to at least one onset, by years ahead.

    Columns ``ccode``, ``iso3``, ``abbrev`` (of COW), ``state``, ``region``, ``horizon``,
    ``first_year``, ``last_year``, ``probability``, ``lower``, ``upper``, ``interval_kind``,
    ``interval_level``.
    """
    from forecast.sources.codes import state_label

    origin = int(result.attrs["origin"])
    regions = tables.states.drop_duplicates("ccode", keep="last").set_index("ccode")["region"]
    codes = result["state"].to_numpy().astype(int).tolist()
    risk = result["state_risk"].sel(world="status_quo")
    years = result["year"].to_numpy()
    about = {
        "ccode": codes,
        "iso3": [state_label(tables, code, year=origin, kind="iso3") for code in codes],
        "abbrev": [state_label(tables, code, year=origin, kind="abbrev") for code in codes],
        "state": result["state_name"].to_numpy().astype(str).tolist(),
        "region": [str(regions.get(code, "")) for code in codes],
    }
    estimates = {"probability": "mean", "lower": "lower", "upper": "upper"}
    parts = [
        pd.DataFrame(about).assign(
            horizon=h,
            first_year=int(years[0]),
            last_year=int(year),
            **{n: risk.sel(year=year, estimate=e).to_numpy() for n, e in estimates.items()},
            interval_kind=str(result.attrs["interval_kind"]),
            interval_level=float(result.attrs["interval_level"]),
        )
        for h, year in enumerate(years, start=1)
    ]
    return pd.concat(parts, ignore_index=True)


def _backtest(record: Backtest) -> dict[str, pd.DataFrame]:
    curves = [
        curve.curve.assign(horizon=horizon, model=name, level=curve.level, band=curve.kind)
        for (horizon, name), curve in record.reliability.items()
    ]
    return {
        "scores": record.scores,
        "differences": record.differences,
        "calibration": record.calibration,
        "ratios": record.ratios,
        "murphy": record.murphy,
        "counts": record.counts,
        "reliability": pd.concat(curves, ignore_index=True),
        "backtest_fits": _timeless(record.fits),
        "backtest_forecasts": record.forecasts,
    }


def _record(record: CalibrationRecord) -> dict[str, pd.DataFrame]:
    names = ["recalibration", "murphy", "counts", "ratios", "scores", "bands"]
    names += ["ladder"] if len(record.ladder) else []
    curve = record.reliability
    return {f"record_{name}": getattr(record, name) for name in names} | {
        "record_reliability": curve.curve.assign(level=curve.level, band=curve.kind)
    }


def _timeless(table: pd.DataFrame) -> pd.DataFrame:
    """Without columns and rows that are wall time or memory."""
    kept = table.drop(columns=[name for name in _CLOCKS if name in table])
    if "diagnostic" in kept:
        kept = kept[~kept["diagnostic"].isin(_CLOCKS)]
    return kept
