"""Do alliances help to forecast conflict? The numbers, figures and sentences of the docs page.

    uv run python benchmarks/alliances.py --panel FILE --out DIR [--workers 2] [--write]
    uv run python benchmarks/alliances.py --forecasts DIR [--forecasts DIR] [--panel FILE] [--write]

The first refits the model, and the model without each group of alliance terms, at origins every
few years (resumable). The second reads the forecasts of finished backtests that had such variants
among their baselines; what the first folder has is taken from there, what only a later one has
from that. With a panel file the model is also fitted once to all years, for its coefficients.
``--write`` puts the result into docs/do-alliances-help.md, between its markers, with the figures;
without it they are printed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "do-alliances-help.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
SEED = 20251231


def run_variants(arguments: argparse.Namespace) -> pd.DataFrame:
    """Backtest of the model and its variants into the folder; picked up again after a kill."""
    from forecast.evaluation.alliance_gains import alliance_variants
    from forecast.evaluation.backtest import BacktestPlan, backtest
    from forecast.modeling.spec import load_model
    from forecast.panel_file import open_panel

    spec = load_model(arguments.model)
    panel = open_panel(arguments.panel)
    last = arguments.last or int(panel.data["year"].max())
    # Years that the model is not fitted on are not asked about either.
    war = {year for span in spec.exclusions for year in range(span.first, span.last + 1)}
    result = backtest(
        BacktestPlan(
            model=spec,
            origins=[year for year in range(arguments.first, last + 1) if year not in war],
            refit=arguments.refit,
            baselines=["climatology", *alliance_variants(spec)],
            draws=arguments.draws,
            seed=SEED,
        ),
        panel,
        out=arguments.out / "run",
        workers=arguments.workers,
        progress=True,
    )
    result.save(arguments.out / "tables")
    return result.forecasts


def slopes_by_era(arguments: argparse.Namespace) -> pd.DataFrame:
    """Coefficients of the alliance terms in each era, from one fit to all years."""
    from forecast.inference.fit import fit
    from forecast.modeling.spec import load_model
    from forecast.modeling.terms import ALLIANCE_FAMILIES
    from forecast.panel_file import open_panel

    spec = load_model(arguments.model)
    summary = fit(spec, open_panel(arguments.panel), seed=SEED, draws=1000).summary()
    slopes = summary[summary["kind"] == "slope"]
    eras = {f"{era.first}–{era.last or ''}" for era in spec.eras}
    return slopes[slopes["family"].isin(ALLIANCE_FAMILIES) & slopes["years"].isin(eras)]


def eras_of(model: str) -> dict[str, tuple[int, int | None]]:
    """Eras of a specification by their years."""
    from forecast.modeling.spec import load_model

    return {f"{e.first}–{e.last or ''}": (e.first, e.last) for e in load_model(model).eras}


def describe(forecasts: pd.DataFrame, names: list[str]) -> str:
    """Which forecasts a part of the numbers comes from."""
    years = f"{forecasts['year'].min()}–{forecasts['year'].max()}"
    return (
        f"Without {', '.join(names)}: forecasts of {forecasts['year'].nunique()} years in {years},"
        " one year ahead."
    )


def number(value: float) -> str:
    """One decimal, with a sign and a real minus."""
    return f"{value:+.1f}".replace("-", "−")


def line(row: dict[str, Any]) -> str:
    """A line of the gains as a row of a Markdown table."""
    from forecast.evaluation.alliance_gains import gain_words, group_label

    name = "all alliance terms" if row["left_out"] == "alliances" else str(row["left_out"])
    gain, lower, upper = (number(1e4 * row[k]) for k in ("gain", "lower", "upper"))
    return (
        f"| {name} | {group_label(row)} | {row['rows']:,} | {row['events']:,} | {gain} |"
        f" {lower} to {upper} | {row['block']} ({row['blocks']:,}) | {gain_words(row)} |"
    )


def sentences(gains: pd.DataFrame) -> list[str]:
    """The answer in plain words, as far as the intervals carry it."""
    from forecast.evaluation.alliance_gains import gain_words, group_label

    better = gains[gains["recalibrated"] & (gains["kind"] == "all")].to_dict("records")
    gains = gains[~gains["recalibrated"]]
    whole = gains[gains["kind"] == "all"].to_dict("records")
    first = next(row for row in whole if row["left_out"] == "alliances")
    found = [
        f"**Over {first['first_year']}–{first['last_year']}, knowing the alliances"
        f" {gain_words(first)}**: gain in log loss {number(1e4 * first['gain'])} × 10⁻⁴ per"
        f" dyad-year ({first['level']:.0%} interval {number(1e4 * first['lower'])} to"
        f" {number(1e4 * first['upper'])}; {first['rows']:,} dyad-years,"
        f" {first['events']:,} onsets)"
    ]
    if pd.notna(first["share"]):
        found[0] += f", {100 * first['share']:.1f}% of the log loss of climatology".replace(
            "-", "−"
        )
    found[0] += "."
    found += [
        "With both sets of forecasts recalibrated on their own earlier years, so that a better"
        f" level alone counts for nothing, the gain is {number(1e4 * row['gain'])}"
        f" ({number(1e4 * row['lower'])} to {number(1e4 * row['upper'])}): it {gain_words(row)}."
        for row in better
        if row["left_out"] == "alliances"
    ]
    families = [row for row in whole if row["left_out"] != "alliances"]
    for words in ("improves the forecasts", "makes the forecasts worse"):
        those = [str(r["left_out"]) for r in families if gain_words(r) == words]
        if those:
            found.append(
                f"By family, with the others kept: {', '.join(those)} {words} by its interval."
            )
    if families and not any(
        gain_words(r) != "has not been shown to change the forecasts" for r in families
    ):
        found.append(
            "No single family of terms has been shown to matter while the others are kept."
        )
    times = gains[(gains["left_out"] == "alliances") & gains["kind"].isin(("era", "stratum"))]
    clear = [r for r in times.to_dict("records") if r["lower"] > 0 or r["upper"] < 0]
    for row in clear:
        what = "better" if row["lower"] > 0 else "worse"
        found.append(
            f"In {group_label(row)} ({row['kind']}) alliances make them {what}:"
            f" {number(1e4 * row['gain'])} ({number(1e4 * row['lower'])} to"
            f" {number(1e4 * row['upper'])})."
        )
    if not clear:
        found.append("In no era and no stratum does the interval of their gain exclude zero.")
    count = len(times) + len(families)
    found.append(
        f"{count} eras, strata and groups of terms were looked at: at 90%, about one in ten"
        " intervals excludes zero where there is nothing."
    )
    return found


def markdown(gains: pd.DataFrame, slopes: pd.DataFrame, about: str) -> str:
    """The part of the page between the markers."""
    head = [
        "| left out | rows of | rows | onsets | gain × 10⁴ | 90% interval | block | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    said, gains = sentences(gains), gains[~gains["recalibrated"]]
    whole = [line(r) for r in gains[gains["kind"] == "all"].to_dict("records")]
    others = gains[(gains["left_out"] == "alliances") & (gains["kind"] != "all")]
    eras = gains[(gains["left_out"] != "alliances") & (gains["kind"] == "era")]
    parts = [
        about,
        "",
        *(f"- {sentence}" for sentence in said),
        "",
        "![Gain in log loss from alliance terms](alliances_gain.png)",
        "",
        "### Family by family",
        "",
        *head, *whole,
        "",
        "### Era by era, and by stratum: all alliance terms",
        "",
        *head, *(line(r) for r in others.to_dict("records")),
        "",
    ]  # fmt: skip
    if len(eras) and len(set(eras["group"])) > 1:
        rows = [line(r) for r in eras.sort_values(["group"], kind="stable").to_dict("records")]
        parts += ["### Era by era and family by family", "", *head, *rows, ""]
    if len(slopes):
        clear = slopes[(slopes["lower"] > 0) | (slopes["upper"] < 0)]
        parts += [
            "### What the coefficients say",
            "",
            f"{len(clear)} of {len(slopes)} coefficients (terms × eras) have a 90% interval that"
            " excludes zero; with nothing there, about one in ten would. Eras as the model names"
            " them; years that it leaves out (before 1900, world wars) are not fitted.",
            "",
            "![Coefficients of alliance terms by era](alliances_slopes.png)",
            "",
        ]
        if len(clear):
            parts += [
                "| term | family | era | coefficient | 90% interval |",
                "|---|---|---|---|---|",
            ]
            parts += [
                f"| {r['term']} | {r['family']} | {r['years']} | {r['mean']:+.2f} |"
                f" {r['lower']:+.2f} to {r['upper']:+.2f} |".replace("-", "−")
                for r in clear.to_dict("records")
            ]
    return "\n".join(parts).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panel", type=Path, help="panel file (`forecast panel --out FILE`)")
    parser.add_argument("--out", type=Path, help="folder of the backtest, resumable")
    parser.add_argument(
        "--forecasts", type=Path, action="append", help="folder of a finished backtest; repeatable"
    )
    parser.add_argument("--model", default="dyad_onset_historical")
    parser.add_argument("--name", help="name of the full model in --forecasts; default: --model")
    parser.add_argument("--first", type=int, default=1925)
    parser.add_argument("--last", type=int)
    parser.add_argument("--refit", type=int, default=5)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="into docs/")
    arguments = parser.parse_args()
    if (arguments.forecasts is None) == (arguments.out is None):
        parser.error("give --forecasts, or --panel and --out")
    if arguments.out is not None and arguments.panel is None:
        parser.error("--out needs --panel")
    from forecast import plot
    from forecast.evaluation.alliance_gains import alliance_gains
    from forecast.evaluation.backtest import read_forecasts

    parts: list[pd.DataFrame] = []
    about = []
    sources = [run_variants(arguments)] if arguments.out is not None else []
    for forecasts in (*sources, *map(read_forecasts, arguments.forecasts or ())):
        found = alliance_gains(
            forecasts,
            model=arguments.name or arguments.model,
            seed=SEED,
            eras=eras_of(arguments.model),
            resamples=arguments.resamples,
        )
        known = {name for part in parts for name in part["left_out"]}
        new = found[~found["left_out"].isin(known)]
        parts.append(new)
        if len(new):
            about.append(describe(forecasts, [str(n) for n in dict.fromkeys(new["left_out"])]))
    gains = pd.concat(parts, ignore_index=True)
    slopes = slopes_by_era(arguments) if arguments.panel is not None else pd.DataFrame()
    if arguments.json:
        print(gains.to_json(orient="records"))
        return
    text = markdown(gains, slopes, f"Model `{arguments.model}`. {' '.join(about)}")
    if not arguments.write:
        print(text)
        return
    plot.gains(gains).savefig(DOCS / "alliances_gain.png", dpi=110)
    if len(slopes):
        plot.slopes(slopes).figure.savefig(DOCS / "alliances_slopes.png", dpi=110)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
    print(json.dumps({"page": PAGE.name, "lines": len(gains), "coefficients": len(slopes)}))


if __name__ == "__main__":
    main()
