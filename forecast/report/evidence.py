"""What the page shows as evidence: backtest, model, diagnostics and vintage, as text and charts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.report.charts import Bar, interval_chart, reliability_chart
from forecast.report.sections import Tables, View
from forecast.report.text import count, number, percent

if TYPE_CHECKING:
    from forecast.evaluation.backtest import Backtest

__all__ = ["backtest_views", "coverage_view", "diagnostics_view", "model_views"]

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
    """Scores, paired differences, reliability and expected over observed, all at one horizon."""
    if record is None:
        return None
    horizon = int(tables["scores"]["horizon"].min())
    scores, differences, ratios, fits = (
        tables[key][tables[key]["horizon"] == horizon] if len(tables[key]) else tables[key]
        for key in ("scores", "differences", "ratios", "backtest_fits")
    )
    overall = scores[scores["kind"] == "all"]
    rows = [
        (_method(r["model"], record.model), f"{r['log_loss']:.4f}", number(r["log_loss_skill"], 3),
         number(r["brier_skill"], 3), number(r["auc"], 3), number(r["average_precision"], 3),
         number(r["expected"], 1))
        for r in overall.to_dict("records")
    ]  # fmt: skip
    level = f"{record.level:.0%}"
    paired = differences[(differences["score"] == "log_loss")]
    groups = paired[paired["kind"].isin(("all", "peace", "stratum"))]
    bars = [
        Bar(
            f"against {_method(r['against'], record.model)}",
            1e4 * r["mean"], 1e4 * r["lower"], 1e4 * r["upper"],
            heading={"all": "All pairs", "peace": f"Peace {r['group']}"}.get(
                r["kind"], f"Stratum: {r['group']}"
            ),
        )
        for kind in ("all", "peace")
        for r in groups[groups["kind"] == kind].to_dict("records")
    ]  # fmt: skip
    own = ratios[(ratios["model"] == record.model) & (ratios["observed"] > 0)]
    parts = [
        Bar(str(r["group"]) + f" ({count(r['observed'])} of {count(r['rows'])})", r["ratio"],
            r["lower"], r["upper"],
            heading="All pairs" if r["kind"] == "all" else str(r["kind"]).capitalize())
        for r in own.to_dict("records")
        if r["kind"] == "all" or (own["kind"] == r["kind"]).sum() > 1
    ]  # fmt: skip
    curve = tables["reliability"]
    curve = curve[(curve["horizon"] == horizon) & (curve["model"] == record.model)]
    years = tables["backtest_forecasts"]["year"]
    first = overall.iloc[0]
    refused = fits[~fits["passed"].astype(bool)] if len(fits) else fits
    empty = ratios[(ratios["model"] == record.model) & (ratios["observed"] == 0)]
    return {
        "first": int(years.min()), "last": int(years.max()), "horizon": horizon,
        "rows": int(first["rows"]), "events": int(first["events"]), "level": level,
        "refused": len(refused), "fits": len(fits),
        "empty": [str(g) for g in empty["group"]],
        "scores": View(
            f"Scores of forecasts {horizon} year ahead, all methods on the same rows; skill is"
            " relative to climatology (above 0 is better)",
            ("Method", "#Log loss", "#Log-loss skill", "#Brier skill", "#AUC",
             "#Average precision", "#Onsets expected"),
            rows, "scores",
        ),
        "differences": interval_chart(
            bars, title="Paired differences in log loss between this model and each other method",
            axis=f"difference in log loss × 10⁴ per dyad-year ({level} interval)",
            reference=0.0,
        ),
        "reliability": reliability_chart(
            curve, title="Reliability diagram of this model in the backtest", level=record.level
        ),
        "ratios": interval_chart(
            parts, title="Expected over observed onsets of this model, by group",
            axis=f"expected / observed (log; {level} exact Poisson interval)",
            reference=1.0, log=True,
        ),
    }  # fmt: skip


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
    chart = None
    if "slopes" in tables:
        slopes = tables["slopes"]
        eras = list(dict.fromkeys(slopes["era"]))[:3]
        years = dict(zip(slopes["era"], slopes["years"], strict=True))
        chart = interval_chart(
            [
                Bar(str(r["term"]).replace("_", " "), r["mean"], r["lower"], r["upper"],
                    series=eras.index(r["era"]))
                for term in dict.fromkeys(slopes["term"])
                for r in slopes[slopes["term"] == term].to_dict("records")
                if r["era"] in eras
            ],
            title="Coefficients of the alliance terms in each era",
            axis=f"change in log-odds of an onset ({level})",
            reference=0.0,
            series=[str(years[era]) for era in eras],
        )  # fmt: skip
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
        "slopes": chart,
    }  # fmt: skip


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
    """From which year on a table rests on changes that the library added."""
    after = row.get("amended_after")
    return "" if pd.isna(after) else f" (amended after {int(after)})"
