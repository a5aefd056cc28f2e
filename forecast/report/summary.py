"""What the report says at the top, in sentences written from the tables."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from forecast.features.strata import STRATA_WORDS
from forecast.report.scenarios import WORLD
from forecast.report.words import group_words
from forecast.sources.codes import BETWEEN
from forecast.text import (
    count,
    interval,
    listed,
    number,
    percent,
    points,
    ratio,
    significant,
    slug,
)

__all__ = ["alliance_gain", "span", "summarise"]

_RECENT = 10
#: Pairs that the sentences name: those under way, and the likeliest onsets.
_GOING, _NEXT = 12, 8
#: Years of a backtest below which a gain in them is no verdict on others.
_FEW_YEARS = 10


def span(first: int, last: int) -> str:
    """Years in words."""
    return f"in {first}" if first == last else f"in {first}–{last}"


def summarise(
    tables: Mapping[str, pd.DataFrame],
    *,
    scenarios: list[str],
    model: str,
    observed: Mapping[int, int],
    passed: bool,
) -> tuple[str, ...]:
    """Sentences: fighting, what is under way, what may begin, the world, states, scenarios, trust.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Tables of the report.
    scenarios : list of str
        Names of the scenarios.
    model : str
        Name of the model in the tables of the backtest.
    observed : mapping of int to int
        Onsets on record between the pairs of the population, by year.
    passed : bool
        Whether the fit met the publication gate.
    """
    severe = tables.get("risks_deaths_25")
    return (
        *(() if severe is None else (_severe(severe, tables.get("record_ladder")),)),
        _under_way(tables["disputes"], tables["risks"]),
        _pairs(tables["risks"]),
        _world(tables["risks"], tables["regions"], observed, _recall(tables["coverage"])),
        _states(tables["states"]),
        _scenarios(tables, scenarios),
        _trust(tables, model, passed),
    )


def _world(
    risks: pd.DataFrame, regions: pd.DataFrame, observed: Mapping[int, int], recall: str
) -> str:
    # Pairs outside the population carry an observed rate, not a forecast: they are not summed.
    own = risks[(risks["horizon"] == 1) & (risks["handling"] == "model")]
    year = int(own["first_year"].iloc[0])
    recent = [observed[y] for y in sorted(observed)[-_RECENT:]]
    first = regions[regions["year"] == year]
    every = first[first["region"] == WORLD].iloc[0]
    first = first[first["region"] != WORLD]
    most = first.iloc[int(first["status_quo"].to_numpy().argmax())]
    apart = own.loc[~own["relevant"], "probability"]
    remote = f", {number(float(apart.sum()), 1)} of them between remote pairs" if len(apart) else ""
    text = (
        f"For {year} the model expects {number(float(own['probability'].sum()), 1)} new militarised"
        f" conflicts between two states to be recorded"
        f" ({every['interval'].split(',')[0]} predictive"
        f" interval {number(float(every['status_quo_lower']), 0)} to"
        f" {number(float(every['status_quo_upper']), 0)}; onsets as recorded here, summed over"
        f" {own['base_population'].iloc[0]}: {count(len(own))}{remote})"
    )
    if recent:
        years = sorted(observed)[-_RECENT:]
        text += f", against {number(sum(recent) / len(recent), 1)} a year in {years[0]}–{years[-1]}"
    where = (
        "between states of different regions"
        if most["region"] == BETWEEN
        else f"within {most['region']}"
    )
    return text + (
        f"; the largest part, {number(float(most['status_quo']), 1)}"
        f" ({most['interval'].split(',')[0]} predictive interval"
        f" {number(float(most['status_quo_lower']), 0)} to"
        f" {number(float(most['status_quo_upper']), 0)}), is expected {where}."
        f"{' ' + recall if recall else ''}"
    )


def _severe(severe: pd.DataFrame, ladder: pd.DataFrame | None) -> str:
    """What is deadly: fighting, and conflicts that come to more than 25 deaths."""
    one = severe[severe["horizon"] == 1]
    year = int(one["first_year"].iloc[0])

    def pairs(column: str, among: pd.DataFrame) -> str:
        top = among.sort_values([column, "ccode_a", "ccode_b"], ascending=[False, True, True])
        return listed(
            f"{r['state_a']}–{r['state_b']} ({percent(r[column])})"
            for r in top.head(_NEXT).to_dict("records")
        )

    new = one[one["handling"] == "model"]
    expected = number(float(new["probability"].sum()), 1)
    text = (
        f"Fighting in {year} (a conflict of two states with more than 25 deaths of the two, begun"
        " or still under way at the end of the year) is likeliest between"
        f" {pairs('fighting', one)}; a new conflict of that kind between"
        f" {pairs('probability', new)}: over all pairs {expected} such onsets are expected to be"
        " recorded"
    )
    if ladder is not None and len(ladder):
        cell = ladder[(ladder["scope"] == "all") & (ladder["severity"] == "deaths_25")].iloc[0]
        text += (
            f" (the backtest expected {number(float(cell['expected']), 1)} and"
            f" {int(cell['observed'])} were)"
        )
    return (
        f"{text}. It comes first because conflicts above 25 deaths are recorded evenly over years"
        " and regions, which small incidents are not."
    )


def _recall(coverage: pd.DataFrame) -> str:
    """How much of what happens is on record, as the data declare it."""
    return str(coverage.loc[coverage["table"] == "conflicts", "recall"].iloc[0])


def _pairs(risks: pd.DataFrame) -> str:
    one = risks[(risks["horizon"] == 1) & (risks["status"] != "under way")].sort_values(
        ["probability", "ccode_a", "ccode_b"], ascending=[False, True, True]
    )
    if one.empty:
        return "No pair is at peace."
    top = one.iloc[0]
    text = (
        "Of all other pairs the one most likely to see a conflict begin"
        f" {span(top['first_year'], top['last_year'])} is {top['state_a']} and {top['state_b']}:"
        f" {percent(top['probability'])}"
        f" ({top['interval_level']:.0%} {top['interval_kind']} interval"
        f" {interval(top['lower'], top['upper'])}, uncertainty of the parameters), where the base"
        f" rate of {STRATA_WORDS.get(top['stratum'], top['stratum'])} is"
        f" {percent(top['base_rate'])} per pair and year"
    )
    if top["status"] == "ended":
        text += " (one ended between them in the year before)"
    others = [
        f"{r.state_a}–{r.state_b} ({percent(float(str(r.probability)))}"
        f"{'' if r.relevant else ', remote'})"
        for r in one.iloc[1:_NEXT].itertuples()
    ]
    text += f"; next come {listed(others)}" if others else ""
    rare = one[one["stratum"].str.startswith("first ever") & (one["handling"] == "model")]
    for chosen, what in (
        (one[~one["relevant"]], "of remote pairs (no neighbours, and no major power)"),
        (rare, "of pairs with no conflict on record"),
    ):
        if len(chosen) and chosen.index[0] not in one.index[:_NEXT]:
            first = chosen.iloc[0]
            text += (
                f"; {what} {first['state_a']}–{first['state_b']}"
                f" ({percent(first['probability'])}, {ratio(first['ratio'])} its base rate of"
                f" {percent(first['base_rate'])})"
            )
    return f"{text}."


def _under_way(disputes: pd.DataFrame, risks: pd.DataFrame) -> str:
    """The conflicts that are under way, before anything that may begin."""
    one = risks[risks["horizon"] == 1].set_index(["ccode_a", "ccode_b"])["still_under_way"]
    year = int(risks["first_year"].iloc[0])
    going = disputes[disputes["status"] == "under way"]
    if going.empty:
        return f"No conflict of two states is under way at the end of {year - 1}, as recorded here."
    pairs = [
        f"{r['state_a']}–{r['state_b']} since {r['since'] or 'an unknown day'}"
        f" ({percent(float(one[r['ccode_a'], r['ccode_b']]))})"
        for r in going.to_dict("records")
    ]
    what = (
        "A conflict of two states is"
        if len(pairs) == 1
        else (f"Conflicts of {count(len(pairs))} pairs of states are")
    )
    return (
        f"{what} under way at the end of {year - 1}, as recorded here, with the probability of"
        f" still being so at the end of {year}: {listed(pairs, limit=_GOING)}."
    )


def _states(states: pd.DataFrame) -> str:
    last = int(states["horizon"].max())
    one = states[states["horizon"] == 1].sort_values(
        ["probability", "ccode"], ascending=[False, True]
    )
    longer = states[states["horizon"] == last].set_index("ccode")["probability"]
    top = one.iloc[0]
    high = int((one["probability"] >= 0.1).sum())
    half = float(one["probability"].median())
    others = [
        f"{r.state} ({percent(float(str(r.probability)))})" for r in one.iloc[1:4].itertuples()
    ]
    text = (
        f"{top['state']} is the state most likely to be a party to at least one new conflict"
        f" {span(top['first_year'], top['last_year'])}: {percent(top['probability'])}"
        f" ({top['interval_level']:.0%} {top['interval_kind']} interval"
        f" {interval(top['lower'], top['upper'])})"
    )
    if others:
        text += f", before {listed(others)}"
    text += (
        f"; {high} of {len(one)} states are at 10% or more, the median state is at {percent(half)}"
    )
    if last > 1:
        text += f" and at {percent(float(longer.median()))} within {last} years"
    return text + "."


def _scenarios(tables: Mapping[str, pd.DataFrame], names: list[str]) -> str:
    if not names:
        return "No scenario was simulated."
    rows, decided = [], {}
    for name in names:
        table = tables[f"scenario_{slug(name)}"]
        table = table[table["last_year"] == table["last_year"].max()]
        rows.append(table.loc[[table["difference"].abs().idxmax()]].assign(name=name))
        zero_outside = (table["difference_lower"] > 0) | (table["difference_upper"] < 0)
        decided[name] = f"{count(int(zero_outside.sum()))} of {count(len(table))}"
    found = pd.concat(rows)
    top = found.iloc[int(found["difference"].abs().to_numpy().argmax())]
    if not math.isfinite(float(top["difference"])) or top["difference"] == 0:
        return f"None of the {len(names)} scenarios changes any risk."
    shares = listed(f"{share} pairs under '{name}'" for name, share in decided.items())
    every = "the scenario makes" if len(names) == 1 else f"any of the {len(names)} scenarios makes"
    return (
        f"The largest change that {every} is to {top['state_a']}–{top['state_b']} under"
        f" '{top['name']}': from"
        f" {percent(top['status_quo'])} to {percent(top['scenario'])} by {top['last_year']}"
        f" (paired difference {points(top['difference'])}, {str(top['interval']).split(',')[0]}"
        f" interval {points(top['difference_lower'], unit=False)} to"
        f" {points(top['difference_upper'], unit=False)}); the interval of the difference excludes"
        f" zero for {shares}, and all of it is association, not causal effect."
    )


def _trust(tables: Mapping[str, pd.DataFrame], model: str, passed: bool) -> str:
    checks = tables["checks"]
    judged = checks[checks["passed"].notna()]
    fell = judged.loc[~judged["passed"].astype(bool), "check"]
    failed = [str(name).replace("_", " ") for name in fell]
    verdict = (
        f"all {len(judged)} checks passed"
        if not failed
        else f"{len(failed)} of {len(judged)} checks failed ({listed(failed)})"
    )
    if len(judged) == 0:
        verdict = "no check was run"
    elif len(judged) < len(checks):
        verdict += f" ({len(checks) - len(judged)} more could not be judged)"
    if not passed:
        verdict += (
            ", and the fit missed the publication gate, so that no number here should be used"
        )
    if "scores" not in tables:
        return f"There is no backtest in this report, so nothing shows its skill; {verdict}."
    scores = tables["scores"]
    scores = scores[(scores["kind"] == "all") & (scores["horizon"] == scores["horizon"].min())]
    own = scores[scores["model"] == model].iloc[0]
    rows = tables["backtest_forecasts"]["year"]
    text = (
        f"Forecasting {rows.min()}–{rows.max()} anew, without hindsight"
        f" ({count(own['rows'])} dyad-years, {count(own['events'])} onsets), the model's log loss"
        f" was {significant(own['log_loss'], 4)} per pair and year, a skill of"
        f" {number(own['log_loss_skill'], 3)} against climatology; it expected"
        f" {number(own['expected'], 1)} onsets"
    )
    groups = tables["scores"]
    groups = groups[(groups["kind"] == "relevance") & (groups["model"] == model)]
    groups = groups[groups["horizon"] == scores["horizon"].min()]
    if len(groups) > 1:
        parts = [
            f"{number(r['expected'], 1)} for {count(r['events'])} between"
            f" {group_words('relevance', r['group'])} pairs (log loss"
            f" {significant(r['log_loss'], 4)})"
            for r in groups.to_dict("records")
        ]
        text += f": {listed(parts)}"
    gain = alliance_gain(tables)
    return f"{text}{'' if gain is None else f', and {gain}'}; {verdict}."


def alliance_gain(tables: Mapping[str, pd.DataFrame]) -> str | None:
    """What the report's own backtest says of alliances; None without one, or without alliances."""
    if "differences" not in tables:
        return None
    difference = _against(tables["differences"], "without_alliances")
    if difference is None:
        return None
    better = (
        "alliances make the forecasts measurably better"
        if difference["upper"] < 0
        else "alliances make the forecasts measurably worse"
        if difference["lower"] > 0
        else "alliances have not shown that they improve the forecasts"
    )
    years = tables["backtest_forecasts"]["year"].nunique()
    if years < _FEW_YEARS:
        better += f" in these {years} years, too few for a verdict"
    mean, lower, upper = (
        f"{number(1e4 * difference[name], 2, sign=True)}" for name in ("mean", "lower", "upper")
    )
    return (
        f"{better} (difference in log loss to the same model without them {mean} × 10⁻⁴ per pair"
        f" and year, {difference['level']:.0%} block-bootstrap interval {lower} to {upper};"
        " negative is better)"
    )


def _against(differences: pd.DataFrame, what: str) -> pd.Series | None:
    chosen = differences[
        (differences["kind"] == "all")
        & (differences["score"] == "log_loss")
        & differences["against"].str.contains(what)
    ]
    return None if chosen.empty else chosen.iloc[0]
