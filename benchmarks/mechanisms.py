"""What practitioners name, era by era: fits, verdicts, and the page docs/mechanisms.md.

    forecast data get                                        # official files, once
    uv run python benchmarks/mechanisms.py --out mechanisms [--arms FILE] [--trade FILE] [--write]

Fits every shipped model that a mechanism speaks of, with the measures of data/mechanisms.toml in
the place of its alliance terms, to the official data (1816-2000) and to the embedded ones
(1946-2025): fifteen Laplace fits, a few minutes on two cores. ``--arms`` is the list of arms
races of Gibler, Rider and Hutchison (2005) as peacesciencer has it (``grh_arms_races``: race_id,
ccode1, ccode2, styear, endyear), ``--trade`` the Stata file of Oneal and Russett (2001); without
them their measures are left out. Verdicts go to OUT/mechanisms.csv; ``--write`` puts them, the
tables and a picture of each mechanism into docs/ and benchmarks/.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

import forecast as fc
from forecast.evaluation.mechanisms import CAUTION, chance_words, overall
from forecast.features import FeatureRequest
from forecast.modeling.mechanisms import Mechanism, declared_mechanisms
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel
from forecast.text import percent, points

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
PAGE, GAINS = DOCS / "mechanisms.md", DOCS / "do-alliances-help.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
SEED, DRAWS = 20261130, 500
LAST = 2000  # what came after is kept for forecasts
WARS = (1914, 1939)
#: Model on the official data, on the embedded ones, and mechanisms that are fitted apart.
MODELS = (
    ("dyad_onset_historical", "dyad_onset", ()),
    ("directed_initiation_historical", "directed_initiation_historical", ()),
    ("directed_initiation_historical", "directed_initiation_historical", ("reliability",)),
    ("state_onset", "state_onset", ()),
    ("escalation", "escalation", ()),
    ("resolution", "resolution", ()),
)


def of_two_centuries(spec: ModelSpec) -> ModelSpec:
    """The same model from 1816 to 2000; the world wars are left out where the model does so."""
    content = spec.to_dict() | {"years": [1816, LAST]}
    wars = [span for span in content["exclude"] if span["first"] in WARS]
    first = {"first": 1816, "last": 1816, "reason": "Nothing is known of the year before."}
    return ModelSpec.from_dict(content | {"exclude": [first, *wars]})


def fitted(spec: ModelSpec, panel: Panel, data: str) -> pd.DataFrame:
    """Verdicts of a fit."""
    fit = fc.fit(spec, panel, seed=SEED, draws=DRAWS)
    print(f"{spec.name}, {data}: {fit.encoding.rows:,} rows; {fit.diagnostics}", flush=True)
    found = fc.mechanisms(fit)
    return found.assign(data=data)


def shipped() -> Iterator[pd.DataFrame]:
    """Of the shipped models with measures, on both data sets."""
    for official, embedded, names in MODELS:
        for data, name in (("official", official), ("embedded", embedded)):
            spec = fc.load_model(name)
            if spec.unit == "dyad-year":  # elsewhere disputes are too rare to tell eras apart
                spec = spec.with_population("politically_relevant")
            spec = spec.with_mechanisms(*names)
            spec = of_two_centuries(spec) if data == "official" else spec
            source = "historical" if data == "official" else "embedded"
            yield fitted(spec, fc.load_panel(data=source, **spec.choices), data)


def arms_races(file: Path) -> Iterator[pd.DataFrame]:
    """Whether races begin after expansion, and disputes after races: strategic rivals, 1816-1993.

    The list was made among strategic rivals: other pairs are not known to have had none. Years in
    which a race goes on are no year in which one could begin.
    """
    panel = fc.load_panel(data="historical", population="all", years=(1817, 1993))
    frame = panel.to_dataframe().reset_index()[["ccode_a", "ccode_b", "year", "outcome"]]
    frame = fc.attach(frame, ["rivalry"], a="ccode_a", b="ccode_b", data=panel)
    frame = frame[frame["rivalry"] == 1].drop(columns="rivalry").reset_index(drop=True)
    races = pd.read_csv(file)
    key = races[["ccode1", "ccode2"]].min(axis=1), races[["ccode1", "ccode2"]].max(axis=1)
    races = races.assign(ccode_a=key[0], ccode_b=key[1])
    both = frame.reset_index().merge(races, on=["ccode_a", "ccode_b"])
    now, first, last = both["year"], both["styear"], both["endyear"]
    begun, on, before = (
        frame.index.isin(both.loc[when, "index"])
        for when in (first == now, (first < now) & (now <= last), (first < now) & (now <= last + 1))
    )
    frame["race_begins"] = pd.Series(begun.astype(float)).mask(on)
    frame["arms_race"] = before.astype(float)
    print(f"{int(begun.sum())} of {len(races)} races begin in {len(frame):,} years of rivals")
    measures = {m.term: m for _, m in declared_mechanisms().measures(outcome="race_begins")}
    frame = fc.attach(
        frame,
        [
            "capability_ratio", "land_contiguity", "major_powers", "peace_years",
            "disputes_recent",
            *(FeatureRequest(t, m.feature, m.options, m.side) for t, m in measures.items()),
        ],
        a="ccode_a", b="ccode_b", data=panel,
    )  # fmt: skip
    controls = ["capability_ratio", "land_contiguity", "major_powers", "log1p(peace_years)"]
    recent = "log1p(disputes_recent)"
    for outcome, own in (("race_begins", {}), ("rivals_dispute", {"arms_race": "power"})):
        rows = frame.rename(columns={"outcome": outcome} if own else {})
        rows = rows.drop(columns="race_begins" if own else "outcome")
        spec = fc.model(
            outcome, [*controls, recent, *own], ["dyad"], columns=own, name=outcome,
            exclude=[{"first": 1914, "last": 1918}, {"first": 1939, "last": 1945}],
        )  # fmt: skip
        yield fitted(
            spec.with_mechanisms(),
            fc.panel_from_frame(rows, outcome=outcome, a="ccode_a", b="ccode_b"),
            "rivals",
        )


def trade(file: Path) -> pd.DataFrame:
    """Oneal and Russett's panel, with the years of peace beside their terms."""
    frame = pd.read_stata(file)
    frame["smldmat"] = frame[["demauta", "demautb"]].min(axis=1)
    frame["smldep"] = frame[["dependa", "dependb"]].min(axis=1)
    frame = fc.attach(
        frame, ["peace_years"], a="statea", b="stateb", lag=0, data="historical"
    )  # a row of year t has the outcome of t + 1
    theirs = dict.fromkeys(("allies", "smldmat", "smldep"), "society")
    theirs |= {"lcaprat2": "power", "noncontg": "geography", "logdstab": "geography"}
    theirs |= {"minrpwrs": "power"}
    terms = [{"name": n, "family": f, "missing": "drop"} for n, f in theirs.items()]
    spec = fc.model(
        "dispute1", [*terms, "log1p(peace_years)"], ["dyad"], columns=theirs, name="dispute1"
    )
    panel = fc.panel_from_frame(frame, outcome="dispute1", a="statea", b="stateb", lead=1)
    return fitted(spec.with_mechanisms(), panel, "Oneal–Russett")


def gains() -> dict[str, str]:
    """Gain in forecasts of each group of terms, as the page on forecasts has it."""
    rows = re.findall(
        r"^\| (\w+) \| all \| [\d,]+ \| [\d,]+ \| (\S+) \| ([^|]+?) \|", GAINS.read_text(), re.M
    )
    return {name: f"{gain} × 10⁻⁴ a row ({interval})" for name, gain, interval in rows}


def cell(row: dict[str, object] | None) -> str:
    """A verdict with what it rests on."""
    if row is None:
        return "–"
    ratio, low, high = (f"{row[k]:.2f}" for k in ("ratio", "ratio_lower", "ratio_upper"))
    said = f"× {ratio} ({low}–{high}), {points(float(row['difference']))}"  # type: ignore[arg-type]
    return f"**{row['verdict']}** {said}" if row["verdict"] != "not shown" else said


def counted(own: pd.DataFrame) -> str:
    """How many comparisons of a mechanism have which verdict, and how many would by chance."""
    if own.empty:
        return ""
    count = own["verdict"].value_counts()
    chance = len(own) * (1 - float(own["level"].iloc[0])) / 2
    return (
        f"Of {len(own)} comparisons {count.get('shown', 0)} shown, {count.get('other sign', 0)} of "
        f"the other sign; by chance {chance:.1f} of each."
    )


def section(mechanism: Mechanism, table: pd.DataFrame, measured: dict[str, str]) -> list[str]:
    """One mechanism on the page."""
    own = table[table["mechanism"] == mechanism.name]
    refuted = mechanism.refuted_if[0].lower() + mechanism.refuted_if[1:]
    lines = [
        f"### {mechanism.title}: {overall(own['verdict']) if len(own) else 'not measured'}",
        "",
        f"*{mechanism.claim}* Refuted if {refuted} {counted(own)}",
        "",
    ]
    if len(own):
        lines += [f"![{mechanism.title}](mechanisms/{mechanism.name}.png)", ""]
        lines += ["| comparison | expected | years, data | probability | ratio, points | P(sign) |"]
        lines += ["|---|---|---|---|---|---|"]
    for _, part in own.groupby(["unit", "outcome", "term"], sort=False):
        for i, row in enumerate(part.to_dict("records")):
            what = (row["says"], "more" if row["sign"] == "+" else "less") if not i else ("", "")
            base = f"{percent(row['probability_low'])} → {percent(row['probability_high'])}"
            years = f"{row['first']}–{row['last']}, {row['data']}"
            mark = "" if row["passed"] else " (gate not passed)"
            mark += " †" if row["beyond"] else ""
            lines.append(
                f"| {what[0]} | {what[1]} | {years}{mark} | {base} | {cell(row)} |"
                f" {row['as_expected']:.2f} |"
            )
    helps = measured.get(mechanism.forecasts or "")
    told = (
        f"Forecasts: the terms *{mechanism.forecasts}* gained {helps} over 1925–2000."
        if helps
        else "Forecasts: what these terms alone add was not measured."
    )
    return [*lines, "", f"{told} Whose: {'; '.join(mechanism.sources)}.", ""]


def summary(table: pd.DataFrame) -> list[str]:
    """Mechanisms by era: how many comparisons have which verdict."""
    eras = [era.name for era in declared_mechanisms().eras]
    lines = [
        "| mechanism | verdict | " + " | ".join(e.replace("_", " ") for e in eras) + " |",
        "|---|---|" + "---|" * len(eras),
    ]
    for mechanism in declared_mechanisms().mechanisms:
        own = table[table["mechanism"] == mechanism.name]
        cells = []
        for era in eras:
            count = own[own["era"] == era]["verdict"].value_counts()
            kinds = [f"{count[kind]} {kind}" for kind in ("shown", "other sign") if kind in count]
            held = ", ".join(kinds) or "not shown"
            cells.append(f"{held} of {count.sum()}" if count.sum() else "–")
        name = f"[{mechanism.title}](#{anchor(mechanism, own)})"
        lines.append(f"| {name} | {overall(own['verdict'])} | " + " | ".join(cells) + " |")
    return lines


def anchor(mechanism: Mechanism, own: pd.DataFrame) -> str:
    """Anchor of the section of a mechanism."""
    title = f"{mechanism.title}: {overall(own['verdict'])}".lower()
    return re.sub(r"[^\w -]", "", title).replace(" ", "-")


def page(table: pd.DataFrame) -> str:
    """The part of the page between its markers."""
    declared, measured = declared_mechanisms(), gains()
    lines = [*summary(table), "", chance_words(table), "", CAUTION, ""]
    for mechanism in declared.mechanisms:
        lines += section(mechanism, table, measured)
    lines += [
        "### What nothing here measures",
        "",
        "| asked | why there is no answer |",
        "|---|---|",
    ]
    lines += [f"| {one.asks} | {one.why} |" for one in declared.unmeasured]
    return "\n".join(lines) + "\n"


def write(table: pd.DataFrame) -> None:
    """Page, pictures and verdicts into the repository."""
    kept = HERE / "mechanisms.csv"
    table.to_csv(kept, index=False, float_format="%.5g", lineterminator="\n")
    table = pd.read_csv(kept)  # the page is that of the file
    folder = DOCS / "mechanisms"
    folder.mkdir(exist_ok=True)
    for name in dict.fromkeys(table["mechanism"]):
        picture = fc.plot.mechanism(table, name)
        (folder / f"{name}.png").write_bytes(picture._repr_png_())
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{head}{BEGIN}\n\n{page(table)}\n{END}{tail}", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the verdicts")
    parser.add_argument("--arms", type=Path, help="list of arms races (CSV)")
    parser.add_argument("--trade", type=Path, help="panel of Oneal and Russett (Stata)")
    parser.add_argument("--write", action="store_true", help="into docs/ and benchmarks/")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "mechanisms.csv"
    if not file.is_file():
        parts = list(shipped())
        parts += list(arms_races(given.arms)) if given.arms is not None else []
        parts += [trade(given.trade)] if given.trade is not None else []
        pd.concat(parts, ignore_index=True).to_csv(file, index=False)
    table = pd.read_csv(file)
    print(chance_words(table))
    if given.write:
        write(table)


if __name__ == "__main__":
    main()
