"""What the report says at the top, in sentences written from the tables."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from forecast.evaluation.strata import STRATA_WORDS
from forecast.report.text import count, interval, listed, number, percent, points, ratio, slug

__all__ = ["span", "summarise"]

_RECENT = 10
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
    """Five sentences: the world, the riskiest pairs, states, scenarios, how far to trust it.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Tables of the report.
    scenarios : list of str
        Names of the scenarios.
    model : str
        Name of the model in the tables of the backtest.
    observed : mapping of int to int
        Onsets on record between politically relevant pairs, by year.
    passed : bool
        Whether the fit met the publication gate.
    """
    return (
        _world(tables["risks"], tables["regions"], observed),
        _pairs(tables["risks"]),
        _states(tables["states"]),
        _scenarios(tables, scenarios),
        _trust(tables, model, passed),
    )


def _world(risks: pd.DataFrame, regions: pd.DataFrame, observed: Mapping[int, int]) -> str:
    # Pairs outside the population carry an observed rate, not a forecast: they are not summed.
    own = risks[(risks["horizon"] == 1) & (risks["handling"] == "model")]
    year = int(own["first_year"].iloc[0])
    recent = [observed[y] for y in sorted(observed)[-_RECENT:]]
    first = regions[regions["year"] == year]
    most = first.iloc[int(first["status_quo"].to_numpy().argmax())]
    text = (
        f"For {year} the model expects {number(float(own['probability'].sum()), 1)} new militarised"
        f" conflicts between politically relevant pairs of states (onsets, summed over"
        f" {count(len(own))} pairs)"
    )
    if recent:
        years = sorted(observed)[-_RECENT:]
        text += (
            f", against {number(sum(recent) / len(recent), 1)} a year on record in"
            f" {years[0]}–{years[-1]}"
        )
    where = (
        "between states of different regions"
        if most["region"] == "Between regions"
        else f"within {most['region']}"
    )
    return text + (
        f"; the largest part, {number(float(most['status_quo']), 1)}"
        f" ({most['interval'].split(',')[0]} predictive interval"
        f" {number(float(most['status_quo_lower']), 0)} to"
        f" {number(float(most['status_quo_upper']), 0)}), is expected {where}."
    )


def _pairs(risks: pd.DataFrame) -> str:
    one = risks[risks["horizon"] == 1].sort_values(
        ["probability", "ccode_a", "ccode_b"], ascending=[False, True, True]
    )
    top = one.iloc[0]
    name = f"{top['state_a']} and {top['state_b']}"
    text = (
        "The pair most likely to see a new conflict begin"
        f" {span(top['first_year'], top['last_year'])} is {name}: {percent(top['probability'])}"
        f" ({top['interval_level']:.0%} {top['interval_kind']} interval"
        f" {interval(top['lower'], top['upper'])}, uncertainty of the parameters), where the base"
        f" rate of {STRATA_WORDS.get(top['stratum'], top['stratum'])} is"
        f" {percent(top['base_rate'])} a year"
    )
    if top["status"] != "at peace":
        text += (
            " (theirs is under way, and this would be a further one)"
            if top["status"] == "under way"
            else " (one ended between them in the year before)"
        )
    others = [
        f"{r.state_a}–{r.state_b} ({percent(float(str(r.probability)))})"
        for r in one.iloc[1:4].itertuples()
    ]
    rare = one[(one["stratum"] == "first ever") & (one["handling"] == "model")]
    text += f"; next come {listed(others)}" if others else ""
    if len(rare) and rare.index[0] != one.index[0]:
        first = rare.iloc[0]
        text += (
            f", and of the pairs with no conflict on record {first['state_a']}–{first['state_b']}"
            f" ({percent(first['probability'])}, {ratio(first['ratio'])} its base rate of"
            f" {percent(first['base_rate'])})"
        )
    return f"{_under_way(one)}{text}."


def _under_way(one: pd.DataFrame) -> str:
    """The conflicts that are under way, before anything that may begin."""
    going = one[one["status"] == "under way"].sort_values(
        ["still_under_way", "ccode_a", "ccode_b"], ascending=[False, True, True]
    )
    if going.empty:
        return ""
    pairs = [
        f"{r.state_a}–{r.state_b} ({percent(float(str(r.still_under_way)))})"
        for r in going.itertuples()
    ]
    first = going.iloc[0]
    what = "A conflict is" if len(pairs) == 1 else f"{len(pairs)} conflicts are"
    return (
        f"{what} under way at the end of {first['first_year'] - 1}, with the probability of still"
        f" being so at the end of {first['last_year']}: {listed(pairs)}. "
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
        f"Forecasting {rows.min()}–{rows.max()} anew, each year from the years before it"
        f" ({count(own['rows'])} dyad-years, {count(own['events'])} onsets), the model's log loss"
        f" was {own['log_loss']:.4f} a dyad-year, a skill of"
        f" {number(own['log_loss_skill'], 3)} against climatology; it expected"
        f" {number(own['expected'], 1)} onsets"
    )
    difference = _against(tables["differences"], "without_alliances")
    if difference is not None:
        better = (
            "alliances make the forecasts measurably better"
            if difference["upper"] < 0
            else "alliances make the forecasts measurably worse"
            if difference["lower"] > 0
            else "alliances have not shown that they improve the forecasts"
        )
        if "measurably" in better and rows.nunique() < _FEW_YEARS:
            better += f" in these {rows.nunique()} years, too few for a verdict on others"
        text += (
            f", and {better} (difference in log loss to the same model without them"
            f" {number(1e4 * difference['mean'], 1, sign=True)}e−4,"
            f" {difference['level']:.0%} block-bootstrap interval"
            f" {number(1e4 * difference['lower'], 1, sign=True)}e−4 to"
            f" {number(1e4 * difference['upper'], 1, sign=True)}e−4; negative is better)"
        )
    return f"{text}; {verdict}."


def _against(differences: pd.DataFrame, what: str) -> pd.Series | None:
    chosen = differences[
        (differences["kind"] == "all")
        & (differences["score"] == "log_loss")
        & differences["against"].str.contains(what)
    ]
    return None if chosen.empty else chosen.iloc[0]
