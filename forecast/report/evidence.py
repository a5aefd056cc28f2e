"""What the page shows as evidence: backtest, model, diagnostics and vintage, as text and charts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from forecast.evaluation.record_text import band_words
from forecast.evaluation.rounding import percentage, percentage_interval, rounding_step
from forecast.modeling.spec import load_model
from forecast.report.charts import Bar, interval_chart
from forecast.report.record_charts import murphy_chart, pit_chart, reliability_chart
from forecast.report.sections import Tables, View
from forecast.report.summary import alliance_gain
from forecast.report.words import group_words
from forecast.text import count, number, percent, significant

if TYPE_CHECKING:
    from forecast.evaluation.backtest import Backtest
    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.report import Findings

__all__ = [
    "alliances_help",
    "backtest_views",
    "coverage_view",
    "diagnostics_view",
    "model_views",
    "record_views",
]

_NAMES = {
    "climatology": "climatology",
    "conflictology": "own recent rate",
    "peace_years": "peace-years logit",
    "history": "history logit",
}


def _method(name: str, model: str) -> str:
    if name == model:
        return "this model"
    return "the same, without alliances" if "without_alliances" in name else _NAMES.get(name, name)


def backtest_views(record: Backtest | None, tables: Tables) -> dict[str, Any] | None:
    """Scores and paired differences of all methods, at one horizon."""
    if record is None:
        return None
    horizon = int(tables["scores"]["horizon"].min())
    scores, differences, fits = (
        tables[key][tables[key]["horizon"] == horizon] if len(tables[key]) else tables[key]
        for key in ("scores", "differences", "backtest_fits")
    )
    overall = scores[scores["kind"] == "all"]
    apart = scores[scores["kind"] == "relevance"]
    groups = [overall, *(part for _, part in apart.groupby("group", sort=False))]
    rows = [
        (group_words(r["kind"], r["group"]), _method(r["model"], record.model), count(r["rows"]),
         significant(r["log_loss"], 4), number(r["log_loss_skill"], 3),
         number(r["auc"], 3), number(r["average_precision"], 3), number(r["expected"], 1),
         count(r["events"]))
        for part in (groups if len(groups) > 2 else [overall])
        for r in part.to_dict("records")
    ]  # fmt: skip
    level = f"{record.level:.0%}"
    paired = differences[(differences["score"] == "log_loss")]
    bars = [
        Bar(
            f"against {_method(r['against'], record.model)}",
            1e4 * r["mean"], 1e4 * r["lower"], 1e4 * r["upper"],
            heading=group_words(r["kind"], r["group"]).capitalize(),
        )
        for kind in ("all", "peace")
        for r in paired[paired["kind"] == kind].to_dict("records")
    ]  # fmt: skip
    years = tables["backtest_forecasts"]["year"]
    first = overall.iloc[0]
    refused = fits[~fits["passed"].astype(bool)] if len(fits) else fits
    return {
        "first": int(years.min()), "last": int(years.max()), "horizon": horizon,
        "rows": int(first["rows"]), "events": int(first["events"]), "level": level,
        "refused": len(refused), "fits": len(fits),
        "scores": View(
            f"Scores of forecasts {horizon} year ahead, all methods on the same rows, of all pairs"
            " and inside and outside of political relevance; log loss is per pair and year, skill"
            " relative to climatology on these rows (above 0 is better)",
            ("Pairs", "Method", "#Rows", "#Log loss", "#Log-loss skill", "#AUC",
             "#Average precision", "#Onsets expected", "#Recorded"),
            rows, "scores",
        ),
        "differences": interval_chart(
            bars, title="Paired differences in log loss between this model and each other method",
            axis=f"difference in log loss × 10⁴ per pair and year ({level} interval)",
            reference=0.0,
        ),
    }  # fmt: skip


_KINDS = {"all": "All", "relevance": "Political relevance", "stratum": "On record between the two",
          "decade": "Decade", "region": "Region"}  # fmt: skip
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
    """The calibration record: charts, and tables of scores and of bands of probability."""
    if record is None:
        return None
    level = f"{record.level:.0%}"
    ratios, bands = tables["record_ratios"], tables["record_bands"]
    own = ratios[ratios["observed"] > 0]
    parts = [
        Bar(f"{group_words(r['kind'], r['group'])} ({count(r['observed'])} of {count(r['rows'])})",
            r["ratio"], r["lower"], r["upper"], heading=_KINDS.get(r["kind"], str(r["kind"])))
        for r in own.to_dict("records")
        if r["kind"] == "all" or (own["kind"] == r["kind"]).sum() > 1
    ]  # fmt: skip
    counts = tables["record_counts"]
    line = tables["record_recalibration"].iloc[0]
    return {
        "years": record.years, "rows": record.rows, "events": record.events, "unit": record.unit,
        "level": level, "ahead": record.horizon,
        "inside": int(counts["inside"].sum()), "of": len(counts),
        "count_level": f"{counts['level'].iloc[0]:.0%}", "count_kind": str(counts["kind"].iloc[0]),
        "slope": number(line["slope"]), "slope_interval":
            f"{number(line['slope_lower'])} to {number(line['slope_upper'])}",
        "intercept": number(line["intercept"]), "intercept_interval":
            f"{number(line['intercept_lower'])} to {number(line['intercept_upper'])}",
        "remark": str(line["remark"]),
        "outside": percent(record.reliability.outside),
        "empty": [
            group_words(r["kind"], r["group"])
            for r in ratios[ratios["observed"] == 0].to_dict("records")
        ],
        "reliability": reliability_chart(
            tables["record_reliability"], bands[bands["stratum"] == "all"],
            title="Reliability diagram of this model out of sample", level=record.level,
        ),
        "ratios": interval_chart(
            parts, title="Expected over observed onsets of this model, by group",
            axis=f"expected / observed (log; {level} exact Poisson interval)",
            reference=1.0, log=True,
        ),
        "murphy": murphy_chart(
            tables["record_murphy"], title="Murphy diagram of this model against climatology"
        ),
        "pit": pit_chart(
            counts, title="Probability integral transform of the yearly numbers of onsets",
            level=record.level,
        ),
        "scores": _score_view(tables["record_scores"], level),
        "reliability_by_group": _reliability_view(tables, level),
        "bands": _band_view(bands, record.unit, level),
    }  # fmt: skip


def _score_view(scores: pd.DataFrame, level: str) -> View:
    names = [name for name in _SCORES if (scores["score"] == name).any()]
    rows = []
    for (kind, group), part in scores.groupby(["kind", "group"], sort=False):
        cells = {str(r["score"]): r for r in part.to_dict("records")}
        first = next(iter(cells.values()))
        enough = first["events"] >= _FEW_EVENTS
        rows.append(
            (group_words(str(kind), str(group)), count(first["rows"]), count(first["events"]),
             *(_with_interval(cells[n], _SCORES[n][1]) if n == "log_loss" or enough else "–"
               for n in names))
        )  # fmt: skip
    return View(
        f"Scores of this model by what is on record between the two ({level} bootstrap of years or"
        f" of pairs, the wider; with fewer than {_FEW_EVENTS} onsets the log loss alone)",
        ("Pairs", "#Rows", "#Onsets", *(f"#{_SCORES[n][0]}" for n in names)),
        rows, "record_scores",
    )  # fmt: skip


def _reliability_view(tables: Tables, level: str) -> View:
    """Whether the levels were right, of all pairs and inside and outside of relevance."""
    keys = ["kind", "group"]
    ratios = tables["record_ratios"].set_index(keys)
    rows = []
    for r in tables["record_recalibration"].to_dict("records"):
        key = (r["kind"], r["group"])
        if r["kind"] not in ("all", "relevance") or key not in ratios.index:
            continue
        of = ratios.loc[key]
        line = (
            "–"
            if r["remark"]
            else _with_interval(
                {"value": r["slope"], "lower": r["slope_lower"], "upper": r["slope_upper"]}, 2
            )
        )
        ratio = _with_interval({"value": of["ratio"], **of[["lower", "upper"]]}, 2)
        rows.append((group_words(*map(str, key)), count(of["rows"]), number(of["expected"], 1),
                     count(of["observed"]), ratio, line))  # fmt: skip
    return View(
        "Reliability inside and outside of political relevance: onsets expected and recorded, their"
        " ratio (1 is right, above it the model over-forecasts; exact Poisson), and the slope of"
        f" recalibration (1 is right, below it the forecasts are too extreme); {level} intervals",
        ("Pairs", "#Rows", "#Expected", "#Recorded", "#Expected / recorded", "#Slope"),
        rows, "record_recalibration",
    )  # fmt: skip


def _with_interval(cell: Mapping[Hashable, Any], places: int) -> str:
    value, lower, upper = (number(float(cell[k]), places) for k in ("value", "lower", "upper"))
    return f"{value} ({lower} to {upper})"


def _band_view(bands: pd.DataFrame, unit: str, level: str) -> View:
    rows = []
    for r in bands[bands["rows"] > 0].to_dict("records"):
        step = rounding_step(r["rate"] or r["upper"], [r["upper"] - r["lower"]])
        rows.append(
            (group_words("all" if r["stratum"] == "all" else "stratum", str(r["stratum"])),
             band_words(r["low"], r["high"]), count(r["rows"]),
             number(r["expected"], 1), count(r["observed"]), percentage(r["rate"], step),
             percentage_interval(r["lower"], r["upper"], step))
        )  # fmt: skip
    return View(
        f"What became of forecasts, by stratum and probability given: {unit}, onsets expected and"
        f" observed, and the observed share with its {level} Jeffreys interval ({unit} taken as"
        " independent)",
        ("Pairs", "#Given", "#Rows", "#Expected", "#Recorded", "#Share", "#Interval"),
        rows, "record_bands",
    )  # fmt: skip


#: Groups whose coefficients are shown side by side.
_SLOPES = {"politically_relevant=1": "politically relevant", "politically_relevant=0": "remote"}


def model_views(tables: Tables) -> dict[str, Any]:
    """Coefficients with priors, scales, and alliance slopes by era."""
    terms, scales = tables["terms"], tables["scales"]
    level = f"{terms['level'].iloc[0]:.0%} equal-tailed interval"
    rows = [
        (str(r["column"]), str(r["family"]), str(r["prior"]), number(r["mean"], sign=True),
         f"{number(r['lower'], sign=True)} to {number(r['upper'], sign=True)}",
         percent(r["positive"]))
        for r in terms.to_dict("records")
    ]  # fmt: skip
    slopes = tables.get("slopes")
    eras, groups = {}, {}
    if slopes is not None:
        levels = dict(zip(slopes["era"], slopes["years"], strict=True))
        eras = {level: years for level, years in levels.items() if years != level}
        groups = {level: name for level, name in _SLOPES.items() if level in levels}
    return {
        "terms": View(
            "Coefficients: change in the log-odds of an onset from 0 to 1 of a binary input, over"
            f" two standard deviations of any other (posterior mean, {level})",
            ("Term", "Family", "Prior", "#Mean", "#Interval", "#P(above 0)"), rows, "terms",
        ),
        "scales": View(
            f"Standard deviations of the groups of effects (posterior mean, {level})",
            ("Effects", "Prior", "#Mean", "#Interval"),
            [
                (str(r["effects"]), str(r["prior"]), number(r["mean"]),
                 f"{number(r['lower'])} to {number(r['upper'])}")
                for r in scales.to_dict("records")
            ],
            "scales",
        ),
        "slopes": _slope_chart(slopes, eras, level),
        "slopes_by_group": _slope_chart(slopes, groups, level),
    }  # fmt: skip


def _slope_chart(
    slopes: pd.DataFrame | None, levels: Mapping[str, str], level: str
) -> Markup | None:
    """Coefficients that differ between levels, which are named; None where none do."""
    if slopes is None or not levels:
        return None
    shown = list(levels)[:3]
    kept = slopes[slopes["era"].isin(shown)]
    return interval_chart(
        [
            Bar(str(r["term"]).replace("_", " "), r["mean"], r["lower"], r["upper"],
                series=shown.index(r["era"]))
            for term in dict.fromkeys(kept["term"])
            for r in kept[kept["term"] == term].to_dict("records")
        ],
        title=f"Coefficients that differ: {', '.join(levels[name] for name in shown)}",
        axis=f"change in log-odds of an onset ({level})",
        reference=0.0,
        series=[levels[name] for name in shown],
    )  # fmt: skip


def diagnostics_view(table: pd.DataFrame) -> View:
    """Thresholds of the gate against what was found."""
    rows = [
        (str(r["diagnostic"]), str(r["threshold"]),
         number(r["found"], 0 if r["found"] >= 10 else 3) if r["applies"] else "not of this method",
         ("passed" if r["passed"] else "FAILED") if r["applies"] else "–")
        for r in table.to_dict("records")
    ]  # fmt: skip
    return View(
        "Publication gate: what is asked and what was found",
        ("Diagnostic", "#Asked", "#Found", "Verdict"), rows, "diagnostics",
    )  # fmt: skip


def coverage_view(table: pd.DataFrame) -> View:
    """Years that each table covers, with source and licence."""
    rows = [
        (str(r["table"]), f"{r['first']}–{r['last']}{_amended(r)}", str(r["source"]),
         str(r["version"]), str(r["licence"]))
        for r in table.to_dict("records")
    ]  # fmt: skip
    return View(
        "Data: years covered (outside them a value is missing, never zero)",
        ("Table", "#Years", "Source", "Version", "Licence"), rows, "coverage",
    )  # fmt: skip


def _amended(row: Mapping[Hashable, Any]) -> str:
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
