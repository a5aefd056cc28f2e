"""What the report says first: notices on the data, then sentences written from the tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from forecast.features.strata import STRATA_WORDS
from forecast.report.scenarios import WORLD
from forecast.report.views import Row
from forecast.sources.codes import BETWEEN
from forecast.sources.tables import amended_words
from forecast.text import (
    count,
    group_words,
    interval,
    listed,
    number,
    percent,
    points,
    points_interval,
    ratio,
    significant,
    slug,
)

if TYPE_CHECKING:
    from forecast.simulation.scenario import Scenario
    from forecast.sources.tables import Tables

__all__ = ["alliance_gain", "data_notices", "span", "summarise"]


def data_notices(
    tables: Tables, *, origin: int, horizon: int, left_out: Sequence[Scenario] = ()
) -> list[str]:
    """Sentences that say what the user amended and which years the historical data are about.

    `origin` is the last year of the record of conflicts, `horizon` the years ahead; `left_out` are
    scenarios that cannot apply to these years.
    """
    own = [words] if (words := amended_words(tables.vintage)) else []
    years = span(origin + 1, origin + horizon).removeprefix("in ")
    skipped = []
    if left_out:
        names = "; ".join(scenario.name for scenario in left_out)
        skipped = [f"Stock scenarios that cannot apply to a forecast for {years}: {names}."]
    if tables.name != "historical":
        return [*own, *skipped]
    covers = tables.coverage

    def named(table: str) -> str:
        cover = covers[table]
        since = f", changes after {cover.amended_after} from the embedded data"
        more = since if cover.amended_after is not None else ""
        return f"{cover.first}–{cover.last} ({cover.source} {cover.version}{more})"

    sentences = [
        f"Official sources: conflicts {named('conflicts')}; alliances {named('members')}; state"
        f" system {named('states')}; capabilities {named('capabilities')}. The record of conflicts"
        f" ends in {origin}: the forecast is for {years}, not for today."
    ]
    if min(covers["members"].last, covers["states"].last) > origin:
        sentences.append(
            f"States, borders and alliances of {years} are those on record, which nobody knew in"
            f" {origin}; capabilities and conflicts are simulated."
        )
    return [*own, *sentences, *skipped]


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

    `model` is its name in the tables of the backtest, `observed` the onsets on record between the
    pairs of the population, by year, `passed` whether the fit met the publication gate.
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


def _pair(row: Row) -> str:
    return f"{row['state_a']}–{row['state_b']}"


def _likeliest(table: pd.DataFrame, column: str = "probability") -> pd.DataFrame:
    """Pairs or states, the likeliest first."""
    keys = [key for key in ("ccode_a", "ccode_b", "ccode") if key in table]
    return table.sort_values([column, *keys], ascending=[False] + [True] * len(keys))


def _with_interval(row: Row) -> str:
    """Probability of a table of risks, its interval, and what that is."""
    kind = f"{row['interval_level']:.0%} {row['interval_kind']}"
    return f"{percent(row['probability'])} ({kind} interval {interval(row['lower'], row['upper'])}"


def _world(
    risks: pd.DataFrame, regions: pd.DataFrame, observed: Mapping[int, int], recall: str
) -> str:
    # Pairs outside the population carry an observed rate, not a forecast: they are not summed.
    own = risks[(risks["horizon"] == 1) & (risks["handling"] == "model")]
    year = int(own["first_year"].iloc[0])
    first = regions[regions["year"] == year]
    every = first[first["region"] == WORLD].iloc[0]
    first = first[first["region"] != WORLD]
    most = first.iloc[int(first["status_quo"].to_numpy().argmax())]
    apart = own.loc[~own["relevant"], "probability"]
    remote = f", {number(float(apart.sum()), 1)} of them between remote pairs" if len(apart) else ""

    def predictive(row: pd.Series) -> str:
        ends = (number(float(row[f"status_quo_{end}"]), 0) for end in ("lower", "upper"))
        return f"({row['interval'].split(',')[0]} predictive interval {' to '.join(ends)}"

    text = (
        f"For {year} the model expects {number(float(own['probability'].sum()), 1)} new"
        f" militarised conflicts between two states to be recorded {predictive(every)}; onsets as"
        f" recorded here, summed over {own['base_population'].iloc[0]}: {count(len(own))}{remote})"
    )
    years = sorted(observed)[-_RECENT:]
    if years:
        mean = sum(observed[y] for y in years) / len(years)
        text += f", against {number(mean, 1)} a year in {years[0]}–{years[-1]}"
    between = most["region"] == BETWEEN
    where = "between states of different regions" if between else f"within {most['region']}"
    return (
        f"{text}; the largest part, {number(float(most['status_quo']), 1)} {predictive(most)}), is"
        f" expected {where}.{' ' + recall if recall else ''}"
    )


def _severe(severe: pd.DataFrame, ladder: pd.DataFrame | None) -> str:
    """What is deadly: fighting, and conflicts that come to more than 25 deaths."""
    one = severe[severe["horizon"] == 1]
    year = int(one["first_year"].iloc[0])

    def pairs(column: str, among: pd.DataFrame) -> str:
        top = _likeliest(among, column).head(_NEXT)
        return listed(f"{_pair(r)} ({percent(r[column])})" for r in top.to_dict("records"))

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
    one = _likeliest(risks[(risks["horizon"] == 1) & (risks["status"] != "under way")])
    if one.empty:
        return "No pair is at peace."
    top, *others = one.head(_NEXT).to_dict("records")
    text = (
        "Of all other pairs the one most likely to see a conflict begin"
        f" {span(top['first_year'], top['last_year'])} is {top['state_a']} and {top['state_b']}:"
        f" {_with_interval(top)}, uncertainty of the parameters), where the base"
        f" rate of {STRATA_WORDS.get(top['stratum'], top['stratum'])} is"
        f" {percent(top['base_rate'])} per pair and year"
    )
    if top["status"] == "ended":
        text += " (one ended between them in the year before)"
    if others:
        remote = ("" if r["relevant"] else ", remote" for r in others)
        next_ones = zip(others, remote, strict=True)
        found = listed(f"{_pair(r)} ({percent(r['probability'])}{far})" for r, far in next_ones)
        text += f"; next come {found}"
    rare = one[one["stratum"].str.startswith("first ever") & (one["handling"] == "model")]
    for chosen, what in (
        (one[~one["relevant"]], "of remote pairs (no neighbours, and no major power)"),
        (rare, "of pairs with no conflict on record"),
    ):
        if len(chosen) and chosen.index[0] not in one.index[:_NEXT]:
            first = chosen.iloc[0].to_dict()
            text += (
                f"; {what} {_pair(first)} ({percent(first['probability'])},"
                f" {ratio(first['ratio'])} its base rate of {percent(first['base_rate'])})"
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
        f"{_pair(r)} since {r['since'] or 'an unknown day'}"
        f" ({percent(float(one[r['ccode_a'], r['ccode_b']]))})"
        for r in going.to_dict("records")
    ]
    many = f"Conflicts of {count(len(pairs))} pairs of states are"
    return (
        f"{'A conflict of two states is' if len(pairs) == 1 else many} under way at the end of"
        f" {year - 1}, as recorded here, with the probability of still being so at the end of"
        f" {year}: {listed(pairs, limit=_GOING)}."
    )


def _states(states: pd.DataFrame) -> str:
    last = int(states["horizon"].max())
    one = _likeliest(states[states["horizon"] == 1])
    longer = states.loc[states["horizon"] == last, "probability"]
    top, *others = one.head(4).to_dict("records")
    text = (
        f"{top['state']} is the state most likely to be a party to at least one new conflict"
        f" {span(top['first_year'], top['last_year'])}: {_with_interval(top)})"
    )
    if others:
        text += f", before {listed(f'{r["state"]} ({percent(r["probability"])})' for r in others)}"
    text += (
        f"; {int((one['probability'] >= 0.1).sum())} of {len(one)} states are at 10% or more, the"
        f" median state is at {percent(float(one['probability'].median()))}"
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
    ends = points_interval(top["difference_lower"], top["difference_upper"])
    return (
        f"The largest change that {every} is to {_pair(top.to_dict())} under '{top['name']}': from"
        f" {percent(top['status_quo'])} to {percent(top['scenario'])} by {top['last_year']}"
        f" (paired difference {points(top['difference'])}, {str(top['interval']).split(',')[0]}"
        f" interval {ends}); the interval of the difference excludes"
        f" zero for {shares}, and all of it is association, not causal effect."
    )


def _verdict(checks: pd.DataFrame, passed: bool) -> str:
    """What became of the checks and of the gate."""
    judged = checks[checks["passed"].notna()]
    fell = judged.loc[~judged["passed"].astype(bool), "check"]
    failed = [str(name).replace("_", " ") for name in fell]
    text = f"all {len(judged)} checks passed"
    if failed:
        text = f"{len(failed)} of {len(judged)} checks failed ({listed(failed)})"
    if len(judged) == 0:
        text = "no check was run"
    elif len(judged) < len(checks):
        text += f" ({len(checks) - len(judged)} more could not be judged)"
    missed = ", and the fit missed the publication gate, so that no number here should be used"
    return text if passed else text + missed


def _trust(tables: Mapping[str, pd.DataFrame], model: str, passed: bool) -> str:
    verdict = _verdict(tables["checks"], passed)
    if "scores" not in tables:
        return f"There is no backtest in this report, so nothing shows its skill; {verdict}."
    scores = tables["scores"]
    whole = scores[scores["kind"] == "all"]
    horizon = whole["horizon"].min()
    scores = scores[(scores["model"] == model) & (scores["horizon"] == horizon)]
    own = scores[scores["kind"] == "all"].iloc[0]
    groups = scores[scores["kind"] == "relevance"].to_dict("records")
    rows = tables["backtest_forecasts"]["year"]
    text = (
        f"Forecasting {rows.min()}–{rows.max()} anew, without hindsight"
        f" ({count(own['rows'])} dyad-years, {count(own['events'])} onsets), the model's log loss"
        f" was {significant(own['log_loss'], 4)} per pair and year, a skill of"
        f" {number(own['log_loss_skill'], 3)} against climatology; it expected"
        f" {number(own['expected'], 1)} onsets"
    )
    if len(groups) > 1:
        parts = (
            f"{number(r['expected'], 1)} for {count(r['events'])} between"
            f" {group_words('relevance', r['group'])} pairs (log loss"
            f" {significant(r['log_loss'], 4)})"
            for r in groups
        )
        text += f": {listed(parts)}"
    gain = alliance_gain(tables)
    return f"{text}{'' if gain is None else f', and {gain}'}; {verdict}."


def alliance_gain(tables: Mapping[str, pd.DataFrame]) -> str | None:
    """What the report's own backtest says of alliances; None without one, or without alliances."""
    if "differences" not in tables:
        return None
    table = tables["differences"]
    against = table["against"].str.contains("without_alliances")
    chosen = table[(table["kind"] == "all") & (table["score"] == "log_loss") & against]
    if chosen.empty:
        return None
    difference = chosen.iloc[0]
    better = "alliances have not shown that they improve the forecasts"
    if difference["upper"] < 0:
        better = "alliances make the forecasts measurably better"
    elif difference["lower"] > 0:
        better = "alliances make the forecasts measurably worse"
    years = tables["backtest_forecasts"]["year"].nunique()
    if years < _FEW_YEARS:
        better += f" in these {years} years, too few for a verdict"
    mean, lower, upper = (
        number(1e4 * difference[name], 2, sign=True) for name in ("mean", "lower", "upper")
    )
    return (
        f"{better} (difference in log loss to the same model without them {mean} × 10⁻⁴ per pair"
        f" and year, {difference['level']:.0%} block-bootstrap interval {lower} to {upper};"
        " negative is better)"
    )
