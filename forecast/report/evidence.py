"""What the page shows as evidence: backtest, model, diagnostics and vintage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.evaluation.record_forms import band_words
from forecast.modeling.spec import load_model
from forecast.report.summary import alliance_gain
from forecast.report.views import Row, Tables, View, view
from forecast.text import (
    count,
    group_words,
    number,
    number_interval,
    percent,
    percentage,
    percentage_interval,
    rounding_step,
    significant,
)

if TYPE_CHECKING:
    from forecast.evaluation.backtest import Backtest
    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.report import Findings

__all__ = [
    "alliances_help",
    "backtest_views",
    "coverage_view",
    "diagnostics_view",
    "method_words",
    "model_views",
    "record_views",
]

_NAMES = {
    "climatology": "climatology",
    "conflictology": "own recent rate",
    "peace_years": "peace-years logit",
    "history": "history logit",
}


def method_words(name: str, model: str) -> str:
    """What a method of a backtest is called beside the model that it is held against."""
    if name == model:
        return "this model"
    return "the same, without alliances" if "without_alliances" in name else _NAMES.get(name, name)


def _group(row: Row) -> str:
    return group_words(str(row["kind"]), str(row["group"]))


def _number(column: str, places: int = 2, *, sign: bool = False) -> Callable[[Row], str]:
    return lambda r: number(r[column], places, sign=sign)


def _count(column: str) -> Callable[[Row], str]:
    return lambda r: count(r[column])


def backtest_views(record: Backtest | None, tables: Tables) -> dict[str, Any] | None:
    """Scores of all methods, at one horizon."""
    if record is None:
        return None
    horizon = int(tables["scores"]["horizon"].min())
    scores, fits = (
        tables[key][tables[key]["horizon"] == horizon] if len(tables[key]) else tables[key]
        for key in ("scores", "backtest_fits")
    )
    overall = scores[scores["kind"] == "all"]
    apart = [p for _, p in scores[scores["kind"] == "relevance"].groupby("group", sort=False)]
    shown = pd.concat([overall, *apart]) if len(apart) > 1 else overall
    years = tables["backtest_forecasts"]["year"]
    refused = int((~fits["passed"].astype(bool)).sum()) if len(fits) else 0
    return {
        "first": int(years.min()), "last": int(years.max()), "level": f"{record.level:.0%}",
        "rows": int(overall["rows"].iloc[0]), "events": int(overall["events"].iloc[0]),
        "refused": refused, "fits": len(fits),
        "scores": view(
            f"Scores of forecasts {horizon} year ahead, all methods on the same rows, of all pairs"
            " and inside and outside of political relevance; log loss is per pair and year, skill"
            " relative to climatology on these rows (above 0 is better)",
            "scores", shown,
            {"Pairs": _group, "Method": lambda r: method_words(r["model"], record.model),
             "#Rows": _count("rows"), "#Log loss": lambda r: significant(r["log_loss"], 4),
             "#Log-loss skill": _number("log_loss_skill", 3), "#AUC": _number("auc", 3),
             "#Average precision": _number("average_precision", 3),
             "#Onsets expected": _number("expected", 1), "#Recorded": _count("events")},
        ),
    }  # fmt: skip


#: Onsets below which skill and order of a group say nothing.
_FEW_EVENTS = 5
_SCORES = {
    "log_loss": ("Log loss", 5),
    "log_loss_skill": ("Log-loss skill", 3),
    "brier_skill": ("Brier skill", 3),
    "auc": ("AUC", 3),
    "average_precision": ("Average precision", 3),
}

#: What is known of the shipped models beyond the report's own backtest, by name. Sources and
#: numbers: docs/do-alliances-help.md.
_ALLIANCES = {
    "dyad_onset": (
        "On the embedded record, 2005–2025, the alliance terms that were used before added nothing"
        " that can be measured. Those of this model, their widths and where their priors come from"
        " were chosen by forecasts of 1975–2004 and looked at once on 2005–2025: they improve the"
        " forecasts by 0.39 × 10⁻⁴ of log loss per pair and year (90% interval 0.10 to 0.68),"
        " among politically relevant pairs by 1.5 (−0.3 to 3.3). That is little, and not settled."
    ),
    "dyad_onset_historical": (
        "Over 1960–2000, the years that this model of relevant pairs was chosen and confirmed on"
        " (it has learnt from all pairs since), alliances improve the forecasts by 8.8 × 10⁻⁴ of"
        " log loss per politically relevant pair and year (90% interval 5.0 to 13.0), nearly all"
        " of it by saying where a conflict that is under way spreads next. In 2001–2010, which"
        " nobody had seen and which were scored once, that gain is not seen (1.4, −6.3 to 6.7)."
    ),
}


def alliances_help(findings: Findings, tables: Tables) -> list[str]:
    """Whether alliances improve the forecasts: what is known of the model, and the own backtest."""
    spec = findings.fit.spec
    shipped = spec.name in _ALLIANCES and load_model(spec.name).sha256 == spec.sha256
    gain = alliance_gain(tables)
    own = (
        "This report has no backtest of the model without alliances, and says nothing more of it."
        if gain is None
        else f"In the backtest of this report {gain}."
    )
    return [*([_ALLIANCES[spec.name]] if shipped else []), own]


def record_views(record: CalibrationRecord | None, tables: Tables) -> dict[str, Any] | None:
    """The calibration record: sentences, and tables of scores and of bands of probability."""
    if record is None:
        return None
    level = f"{record.level:.0%}"
    ratios, counts = tables["record_ratios"], tables["record_counts"]
    line = tables["record_recalibration"].iloc[0]
    return {
        "years": record.years, "rows": record.rows, "events": record.events, "unit": record.unit,
        "level": level, "ahead": record.horizon,
        "inside": int(counts["inside"].sum()), "of": len(counts),
        "count_level": f"{counts['level'].iloc[0]:.0%}", "count_kind": str(counts["kind"].iloc[0]),
        "line": {
            name: number_interval(line[name], line[f"{name}_lower"], line[f"{name}_upper"])
            for name in ("slope", "intercept")
        },
        "remark": str(line["remark"]),
        "outside": percent(record.reliability.outside),
        "empty": [_group(r) for r in ratios[ratios["observed"] == 0].to_dict("records")],
        "scores": _score_view(tables["record_scores"], level),
        "reliability_by_group": _reliability_view(tables, level),
        "bands": _band_view(tables["record_bands"], record.unit, level),
    }  # fmt: skip


def _score_view(scores: pd.DataFrame, level: str) -> View:
    """One row a group; each score with its interval."""
    cells = {
        (kind, group): {
            str(r["score"]): (r["value"], r["lower"], r["upper"]) for r in part.to_dict("records")
        }
        for (kind, group), part in scores.groupby(["kind", "group"], sort=False)
    }

    def cell(name: str, places: int) -> Callable[[Row], str]:
        return lambda r: (
            number_interval(*cells[r["kind"], r["group"]][name], places)
            if name == "log_loss" or r["events"] >= _FEW_EVENTS
            else "–"
        )

    return view(
        f"Scores of this model by what is on record between the two ({level} bootstrap of years or"
        f" of pairs, the wider; with fewer than {_FEW_EVENTS} onsets the log loss alone)",
        "record_scores", scores.drop_duplicates(["kind", "group"]),
        {"Pairs": _group, "#Rows": _count("rows"), "#Onsets": _count("events")}
        | {f"#{words}": cell(name, places) for name, (words, places) in _SCORES.items()
           if (scores["score"] == name).any()},
    )  # fmt: skip


def _reliability_view(tables: Tables, level: str) -> View:
    """Whether the levels were right, of all pairs and inside and outside of relevance."""
    lines = tables["record_recalibration"]
    lines = lines[lines["kind"].isin(("all", "relevance"))]
    table = lines.merge(tables["record_ratios"], on=["kind", "group"], suffixes=("", "_ratio"))
    slope = ("slope", "slope_lower", "slope_upper")
    return view(
        "Reliability inside and outside of political relevance: onsets expected and recorded, their"
        " ratio (1 is right, above it the model over-forecasts; exact Poisson), and the slope of"
        f" recalibration (1 is right, below it the forecasts are too extreme); {level} intervals",
        "record_recalibration", table,
        {"Pairs": _group, "#Rows": _count("rows"), "#Expected": _number("expected", 1),
         "#Recorded": _count("observed"),
         "#Expected / recorded": lambda r: number_interval(r["ratio"], r["lower"], r["upper"]),
         "#Slope": lambda r: "–" if r["remark"] else number_interval(*(r[n] for n in slope))},
    )  # fmt: skip


def _band_view(bands: pd.DataFrame, unit: str, level: str) -> View:
    def step(r: Row) -> float:
        return rounding_step(r["rate"] or r["upper"], [r["upper"] - r["lower"]])

    return view(
        f"What became of forecasts, by stratum and probability given: {unit}, onsets expected and"
        f" observed, and the observed share with its {level} Jeffreys interval ({unit} taken as"
        " independent)",
        "record_bands", bands[bands["rows"] > 0],
        {"Pairs": lambda r: group_words("all" if r["stratum"] == "all" else "stratum",
                                        str(r["stratum"])),
         "#Given": lambda r: band_words(r["low"], r["high"]), "#Rows": _count("rows"),
         "#Expected": _number("expected", 1), "#Recorded": _count("observed"),
         "#Share": lambda r: percentage(r["rate"], step(r)),
         "#Interval": lambda r: percentage_interval(r["lower"], r["upper"], step(r))},
    )  # fmt: skip


#: Groups whose coefficients are shown side by side.
_SLOPES = {"politically_relevant=1": "politically relevant", "politically_relevant=0": "remote"}


def model_views(tables: Tables) -> dict[str, Any]:
    """Coefficients with priors, scales, and which slopes there are to show: by era, by group."""
    terms, scales, slopes = tables["terms"], tables["scales"], tables.get("slopes")
    level = f"{terms['level'].iloc[0]:.0%} equal-tailed interval"
    levels = {} if slopes is None else dict(zip(slopes["era"], slopes["years"], strict=True))

    def ends(*, sign: bool) -> Callable[[Row], str]:
        return lambda r: f"{number(r['lower'], sign=sign)} to {number(r['upper'], sign=sign)}"

    return {
        "terms": view(
            "Coefficients: change in the log-odds of an onset from 0 to 1 of a binary input, over"
            f" two standard deviations of any other (posterior mean, {level})",
            "terms", terms,
            {"Term": "name", "Family": "family", "Prior": "prior",
             "#Mean": _number("mean", sign=True), "#Interval": ends(sign=True),
             "#P(above 0)": lambda r: percent(r["positive"])},
        ),
        "scales": view(
            f"Standard deviations of the groups of effects (posterior mean, {level})",
            "scales", scales,
            {"Effects": "name", "Prior": "prior", "#Mean": _number("mean"),
             "#Interval": ends(sign=False)},
        ),
        "eras": dict([(era, years) for era, years in levels.items() if years != era][:3]),
        "groups": {level: name for level, name in _SLOPES.items() if level in levels},
    }  # fmt: skip


def diagnostics_view(table: pd.DataFrame) -> View:
    """Thresholds of the gate against what was found."""
    return view(
        "Publication gate: what is asked and what was found",
        "diagnostics",
        table,
        {
            "Diagnostic": "diagnostic",
            "#Asked": "threshold",
            "#Found": lambda r: (
                number(r["found"], 0 if r["found"] >= 10 else 3)
                if r["applies"]
                else "not of this method"
            ),
            "Verdict": lambda r: ("passed" if r["passed"] else "FAILED") if r["applies"] else "–",
        },
    )


def coverage_view(table: pd.DataFrame) -> View:
    """Years that each table covers, with source and licence."""
    return view(
        "Data: years covered (outside them a value is missing, never zero)",
        "coverage",
        table,
        {
            "Table": "table",
            "#Years": lambda r: f"{r['first']}–{r['last']}{_amended(r)}",
            "Source": "source",
            "Version": "version",
            "Licence": "licence",
        },
    )


def _amended(row: Row) -> str:
    """From which year on a table rests on changes that the library added, or what the user did."""
    after, declared, names = (
        row.get(key) for key in ("amended_after", "declared_after", "amended_by")
    )
    words = [
        "" if pd.isna(after) else f"amended after {int(after)}",
        f"amended by the user: {names}" if names else "",
        "" if pd.isna(declared) else f"after {int(declared)} as the user declares",
    ]
    said = "; ".join(word for word in words if word)
    return f" ({said})" if said else ""
