"""Tables of the page: the columns that a reader needs, as text, with the file that has them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from forecast.report.charts import Bar, interval_chart, reliability_chart
from forecast.report.text import count, interval, number, percent, points, slug

if TYPE_CHECKING:
    from forecast.evaluation.backtest import Backtest

__all__ = [
    "View",
    "alliance_views",
    "backtest_views",
    "coverage_view",
    "diagnostics_view",
    "model_views",
    "scenario_views",
    "state_view",
]

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class View:
    """A table of the page.

    Attributes
    ----------
    caption : str
        What it shows, with units and intervals.
    columns : tuple of str
        Headings; those of numbers begin with ``#``, which is not shown.
    rows : list of tuple of str
        Cells.
    file : str
        Table beside the page that has every row and digit.
    """

    caption: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    file: str


def _level(table: pd.DataFrame) -> str:
    return str(table["interval"].iloc[0])


def state_view(states: pd.DataFrame, horizons: Sequence[int], spans: Mapping[int, str]) -> View:
    """States by risk: what the map shows, for those who cannot see or point at it."""
    first = states[states["horizon"] == horizons[0]].sort_values(
        ["probability", "ccode"], ascending=[False, True]
    )
    by = {h: states[states["horizon"] == h].set_index("ccode") for h in horizons}
    rows = [
        (
            str(row.state),
            str(row.region),
            *(
                text
                for h in horizons
                for e in (by[h].loc[row.ccode],)
                for text in (percent(e["probability"]), interval(e["lower"], e["upper"]))
            ),
        )
        for row in first.itertuples()
    ]
    level = f"{states['interval_level'].iloc[0]:.0%} {states['interval_kind'].iloc[0]} interval"
    return View(
        "Probability that a state is a party to at least one onset, with its " + level,
        ("State", "Region", *(c for h in horizons for c in (f"#{spans[h]}", "#interval"))),
        rows,
        "states",
    )


def alliance_views(tables: Tables) -> dict[str, Any]:
    """Changes that involve defence, other changes, features before and after, counts by kind."""
    changes = tables["alliance_changes"]
    columns = ("Date", "Change", "Alliance", "States", "Obligations")

    def view(chosen: pd.DataFrame, caption: str) -> View:
        rows = [
            (str(r.date), str(r.change), str(r.alliance), str(r.states), str(r.obligations))
            for r in chosen.itertuples()
        ]
        return View(caption, columns, rows, "alliance_changes")

    defence = changes["defense"].astype(bool)
    features = tables.get("alliance_features", pd.DataFrame())
    shown = {"own_expansion": 0, "external_share": 2, "commitment_balance": 2}
    rows = []
    for r in features.to_dict("records"):
        cells = []
        for name, places in shown.items():
            before, after = r[f"{name}_before"], r[f"{name}_after"]
            cells.append(f"{number(before, places)} → {number(after, places)}")
        years = f"{r['before_year']} → {r['after_year']}"
        rows.append((str(r["date"]), str(r["alliance"]), str(r["change"]), str(r["state"]), years,
                     *cells))  # fmt: skip
    kinds = changes["change"].value_counts()
    return {
        "counts": [(str(kind), int(kinds[kind])) for kind in sorted(kinds.index)],
        "total": len(changes),
        "defence": view(changes[defence], "Changes that concern an obligation of defence"),
        "others": view(changes[~defence], "Other changes: non-aggression, neutrality, consultation"),
        "features": View(
            "Alliance features of the states concerned, the year before the change and the year"
            " after: states gained as defenders within five years, share of the capability at a"
            " state's disposal that is its allies' (0–1), and log ratio of protection received to"
            " given (above 0: a net importer of security)",
            ("Date", "Alliance", "Change", "State", "Years", "#Own expansion (states)",
             "#External share", "#Commitment balance"),
            rows,
            "alliance_features",
        ),
    }  # fmt: skip


def scenario_views(name: str, tables: Tables) -> dict[str, Any]:
    """Largest changes of one scenario by dyad, on third pairs, by state and by region."""
    stem = f"scenario_{slug(name)}"
    dyads, states = (tables[key] for key in (stem, f"{stem}_states"))
    last = int(dyads["last_year"].max())
    dyads = _largest(dyads[dyads["last_year"] == last])
    states = _largest(states[states["last_year"] == last])
    third = dyads[dyads["reach"] != "party"]
    level = _level(dyads)

    def dyad_rows(chosen: pd.DataFrame) -> list[tuple[str, ...]]:
        return [
            (f"{r['state_a']} – {r['state_b']}", str(r["reach"]), percent(r["status_quo"]),
             percent(r["scenario"]), *_difference(r))
            for r in chosen.to_dict("records")
        ]  # fmt: skip

    columns = ("Pair", "Reached as", "#Status quo", "#Scenario", "#Difference (points)", "#Interval")
    clear = (dyads["difference_lower"] > 0) | (dyads["difference_upper"] < 0)
    regions = _region_view(tables[f"{stem}_regions"], f"{stem}_regions")
    bars = [
        Bar(f"{r['state_a']} – {r['state_b']}", 100 * r["difference"], 100 * r["difference_lower"],
            100 * r["difference_upper"], series=0 if r["reach"] == "party" else 1)
        for r in pd.concat([dyads[dyads["reach"] == "party"].head(8), third.head(8)]).to_dict("records")
    ]  # fmt: skip
    return {
        "last": last,
        "clear": int(clear.sum()),
        "pairs": len(dyads),
        "third_clear": int((clear & (dyads["reach"] != "party")).sum()),
        "changed": int((dyads["reach"] == "spill-over").sum()),
        "level": level,
        "chart": _scenario_chart(name, bars, level),
        "dyads": View(
            f"Largest changes by pair: probability of at least one onset by the end of {last}, and"
            f" the paired difference ({level})",
            columns, dyad_rows(dyads.head(10)), stem,
        ),
        "third": View(
            "Spill-overs: largest changes for pairs in which neither state is named in the edits",
            columns, dyad_rows(third.head(8)), stem,
        ),
        "states": View(
            f"Largest changes by state: probability of being a party to at least one onset by the"
            f" end of {last} ({_level(states)})",
            ("State", "#Status quo", "#Scenario", "#Difference (points)", "#Interval"),
            [
                (str(r["state"]) + (" (named in the edits)" if r["named_in_edits"] else ""),
                 percent(r["status_quo"]), percent(r["scenario"]), *_difference(r))
                for r in states.head(8).to_dict("records")
            ],
            f"{stem}_states",
        ),
        "regions": regions,
    }  # fmt: skip


def _scenario_chart(name: str, bars: list[Bar], level: str) -> Markup:
    parts = [[bar for bar in bars if bar.series == s] for s in (0, 1)]
    headed = [
        Bar(b.label, b.value, b.lower, b.upper, series=0, heading=title)
        for title, group in zip(
            ("Pairs with a state named in the edits", "Third pairs (spill-overs)"), parts, strict=True
        )
        for b in group
    ]
    return interval_chart(
        headed,
        title=f"Largest differences in risk under the scenario {name}",
        axis=f"difference in probability, percentage points ({level})",
        reference=0.0,
    )


def _largest(table: pd.DataFrame) -> pd.DataFrame:
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order]


def _difference(row: Mapping[Any, Any]) -> tuple[str, str]:
    ends = (points(row[f"difference_{end}"], unit=False) for end in ("lower", "upper"))
    return points(row["difference"], unit=False), " to ".join(ends)


def _region_view(table: pd.DataFrame, file: str) -> View:
    last = int(table["year"].max())
    sums = table.groupby("region", sort=False)[["status_quo", "scenario", "difference"]].sum()
    rows = []
    for r in table[table["year"] == last].to_dict("records"):
        total = sums.loc[r["region"]]
        rows.append(
            (str(r["region"]), number(total["status_quo"], 1), number(total["scenario"], 1),
             number(total["difference"], 2, sign=True),
             *(f"{number(r[w], 1)} ({number(r[f'{w}_lower'], 0)}–{number(r[f'{w}_upper'], 0)})"
               for w in ("status_quo", "scenario")))
        )  # fmt: skip
    first = int(table["year"].min())
    return View(
        f"Expected onsets by region: sums over {first}–{last}, and the year {last} with its"
        f" interval ({_level(table)})",
        ("Region", "#Status quo, sum", "#Scenario, sum", "#Difference", f"#Status quo, {last}",
         f"#Scenario, {last}"),
        rows,
        file,
    )  # fmt: skip


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
            r["lower"], r["upper"], heading="" if r["kind"] == "all" else str(r["kind"]).capitalize())
        for r in own.to_dict("records")
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
            axis=f"difference in log loss × 10⁴ per dyad-year (left of 0: this model is better; {level}"
            " block bootstrap, the wider of by year and by dyad)",
            reference=0.0,
        ),
        "reliability": reliability_chart(
            curve, title="Reliability diagram of this model in the backtest", level=record.level
        ),
        "ratios": interval_chart(
            parts, title="Expected over observed onsets of this model, by group",
            axis=f"expected / observed (log; {level} exact Poisson interval)", reference=1.0, log=True,
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
        (str(r["table"]), f"{r['first']}–{r['last']}", str(r["source"]), str(r["version"]),
         str(r["licence"]))
        for r in table.to_dict("records")
    ]  # fmt: skip
    return View(
        "Data: years covered (outside them a value is missing, never zero)",
        ("Table", "#Years", "Source", "Version", "Licence"), rows, "coverage",
    )  # fmt: skip

