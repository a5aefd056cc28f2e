"""Scenarios, under rival theories too: their tables, edits in words, what the page shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.errors import ForecastError
from forecast.report.views import Row, Tables, View, pair, view
from forecast.risk.explain import parts_words, support_words
from forecast.risk.rival_words import points_words, rival_answers, rival_table
from forecast.simulation.comparison import SOURCES, UNUSUAL, part_columns
from forecast.simulation.rivals import REFUTED
from forecast.sources import tables as data
from forecast.sources.codes import resolve_states, state_label
from forecast.text import number, percent, points, points_interval, slug

__all__ = [
    "WORLD",
    "edit_words",
    "parties",
    "region_table",
    "rival_tables",
    "rival_views",
    "scenario_tables",
    "scenario_views",
    "standing_view",
]


#: The last row of the tables of regions.
WORLD = "World"
_SUBJECT = re.compile(
    r"^(?:obligations of (?P<amended>.+?) under .+|(?P<who>.+?) (?P<verb>join|leave|form) .+"
    r"|(?P<alliance>.+) is dissolved on .+)$"
)
_WORLDS = ("status_quo", "scenario", "difference")


def parties(edits: Sequence[str], tables: data.Tables, *, year: int) -> set[int]:
    """COW numbers of the states that the sentences of edits name in a year, members included."""
    found: set[int] = set()
    for sentence in edits:
        match = _SUBJECT.match(sentence)
        if match is None:
            continue
        who = match["amended"] or match["who"]
        if who and who != "all members":
            found |= {code for _, code in _states(who, tables, year)} - {-1}
        else:
            title = match["alliance"] or sentence.split(" under ")[-1].split(" become ")[0]
            pacts = tables.alliances
            named = (pacts["short_name"] == title) | (pacts["alliance_id"] == title)
            inside = tables.members["alliance_id"].isin(pacts.loc[named, "alliance_id"])
            inside &= tables.members["end"].isna()
            found |= set(tables.members.loc[inside, "ccode"].astype(int))
    return found


def _states(who: str, tables: data.Tables, year: int) -> list[tuple[str, int]]:
    """States of a list in words and their COW numbers; -1 for those that cannot be read again."""
    names = who.split(", ")
    for given in (names, [who]):  # "Korea, Republic of" is one
        try:
            return list(
                zip(given, resolve_states(tables, given, year=year, note=False), strict=True)
            )
        except ForecastError:
            continue
    return [(name, -1) for name in names]


def edit_words(sentence: str, tables: data.Tables, *, year: int) -> str:
    """Sentence of an edit with states by name: 'Ukraine joins NATO on 2027-01-01'."""
    match = _SUBJECT.match(sentence)
    who = match and (match["amended"] or match["who"])
    if not match or not who or who == "all members":
        return sentence
    names = [
        state_label(tables, code, year=year) if code >= 0 else given
        for given, code in _states(who, tables, year)
    ]
    subject = names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"
    words = sentence.replace(who, subject, 1)
    if len(names) == 1 and match["verb"]:
        words = words.replace(f"{subject} {match['verb']} ", f"{subject} {match['verb']}s ", 1)
    return words


def scenario_tables(
    name: str, result: xr.Dataset, tables: data.Tables, origin: int
) -> dict[str, pd.DataFrame]:
    """Tables of one scenario: by dyad, state and region."""
    edited = parties(list(result.attrs["edits"]), tables, year=origin)
    stem = f"scenario_{slug(name)}"
    return {
        stem: dyad_table(result, edited),
        f"{stem}_states": state_table(result, edited),
        f"{stem}_regions": region_table(result),
    }


def _by_year(
    variable: xr.DataArray, when: str, about: dict[str, Any], worlds: Sequence[str] = _WORLDS
) -> pd.DataFrame:
    """One row per year (`when`) and unit, years varying slowest: mean and interval per world."""
    years = variable["year"].to_numpy()
    size = len(next(iter(about.values())))
    columns = {name: np.tile(values, years.size) for name, values in about.items()}
    columns[when] = np.repeat(years, size)
    for world in worlds:
        for estimate, ending in (("mean", ""), ("lower", "_lower"), ("upper", "_upper")):
            values = variable.sel(world=world, estimate=estimate).to_numpy()
            columns[f"{world}{ending}"] = values.ravel()
    return pd.DataFrame(columns)


def dyad_table(result: xr.Dataset, edited: set[int]) -> pd.DataFrame:
    """Cumulative risks of every dyad and year under both worlds, and the paired difference.

    ``reach`` says how the edits reach the pair: ``"party"`` (one of the two is named in them),
    ``"spill-over"`` (a third pair whose own alliance features change) or ``"feedback"`` (a
    third pair that is reached only by the conflicts of others). ``own`` and ``contagion`` with
    their intervals are the two parts of the difference; ``leaves_range`` names features that leave
    the range of the fit, ``percentile_before`` and ``percentile_after`` say how unusual the pair's
    alliances are without and with the edits, by the last year.
    """
    variable, percentile = result["cumulative_risk"], result["distance_percentile"]
    a, b = result["ccode_a"].to_numpy(), result["ccode_b"].to_numpy()
    named = np.isin(a, list(edited)) | np.isin(b, list(edited))
    names = dict(zip(result["state"].to_numpy(), result["state_name"].to_numpy(), strict=True))
    leaves = result["leaves_range"]
    left = np.full(a.size, "", dtype=object)
    for row in np.flatnonzero(leaves.any("term").to_numpy()):
        left[row] = ", ".join(leaves["term"].to_numpy()[leaves.to_numpy()[:, row]])
    about = {
        "ccode_a": a,
        "ccode_b": b,
        "state_a": np.array([names[code] for code in a]),
        "state_b": np.array([names[code] for code in b]),
        "region": result["dyad_region"].to_numpy(),
        "reach": np.where(named, "party", np.where(result["changed"], "spill-over", "feedback")),
        "leaves_range": left.astype(str),
        "percentile_before": percentile.sel(world="status_quo").to_numpy(),
        "percentile_after": percentile.sel(world="scenario").to_numpy(),
    }
    parts = part_columns(result["difference_parts"])
    table = _by_year(variable, "last_year", about).assign(**parts)
    return table.assign(interval=str(variable.attrs.get("interval", "")))


def state_table(result: xr.Dataset, edited: set[int]) -> pd.DataFrame:
    """Probability that a state is a party to at least one onset, by year, under both worlds."""
    variable, code = result["state_risk"], result["state"].to_numpy()
    about = {
        "ccode": code,
        "state": result["state_name"].to_numpy(),
        "named_in_edits": np.isin(code, list(edited)),
    }
    table = _by_year(variable, "last_year", about)
    return table.assign(interval=str(variable.attrs.get("interval", "")))


def region_table(result: xr.Dataset) -> pd.DataFrame:
    """Dyadic onsets by region and year with predictive intervals, under each world there is.

    The last of the regions is the world.
    """
    every = result["world_onsets"].expand_dims(region=[WORLD], axis=-1)
    variable = xr.concat([result["region_onsets"], every], dim="region")
    worlds = [name for name in _WORLDS if name in result["world"]]
    table = _by_year(variable, "year", {"region": variable["region"].to_numpy()}, worlds)
    return table.assign(interval=str(every.attrs.get("interval", "")))


def _percent(column: str) -> Callable[[Row], str]:
    return lambda r: percent(r[column])


def _points(column: str) -> Callable[[Row], str]:
    return lambda r: points(r[column], unit=False)


def _part(name: str) -> Callable[[Row], str]:
    """One part of a difference with its interval."""
    return lambda r: (
        f"{points(r[name], unit=False)} ({points_interval(r[f'{name}_lower'], r[f'{name}_upper'])})"
    )


_CHANGE: dict[str, str | Callable[[Row], str]] = {
    "#Status quo": _percent("status_quo"),
    "#Scenario": _percent("scenario"),
    "#Difference (points)": _points("difference"),
    "#Interval": lambda r: points_interval(r["difference_lower"], r["difference_upper"]),
}


def _largest(table: pd.DataFrame) -> pd.DataFrame:
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order]


def scenario_views(name: str, tables: Tables) -> dict[str, Any]:
    """Largest changes of one scenario by dyad, on third pairs, by state and by region."""
    stem = f"scenario_{slug(name)}"
    dyads, states = (tables[key] for key in (stem, f"{stem}_states"))
    last = int(dyads["last_year"].max())
    dyads = _largest(dyads[dyads["last_year"] == last])
    states = _largest(states[states["last_year"] == last])
    third = dyads[dyads["reach"] != "party"]
    level = str(dyads["interval"].iloc[0])
    clear = (dyads["difference_lower"] > 0) | (dyads["difference_upper"] < 0)
    of_pairs = {"Pair": pair, "Reached as": "reach", **_CHANGE,
                "#Own alliances": _part(SOURCES[0]), "#Contagion": _part(SOURCES[1])}  # fmt: skip
    begins = tables.get(f"{stem}_initiation")
    return {
        "last": last,
        "decided": int(clear.sum()),
        "pairs": len(dyads),
        "third_decided": int((clear & (dyads["reach"] != "party")).sum()),
        "changed": int((dyads["reach"] == "spill-over").sum()),
        "level": level,
        "dyads": view(
            f"Largest changes by pair: probability of at least one onset by the end of {last}, and"
            f" the paired difference ({level})",
            stem, dyads.head(10), of_pairs,
        ),
        "third": view(
            "Spill-overs: largest changes for pairs in which neither state is named in the edits",
            stem, third.head(8), of_pairs,
        ),
        "states": view(
            f"Largest changes by state: probability of being a party to at least one onset by the"
            f" end of {last} ({states['interval'].iloc[0]})",
            f"{stem}_states", states.head(8),
            {"State": lambda r: str(r["state"]) + " (named in the edits)" * r["named_in_edits"]}
            | _CHANGE,
        ),
        "regions": _region_view(tables[f"{stem}_regions"], f"{stem}_regions"),
        "unusual": _unusual(dyads, stem),
        "begins": None if begins is None else view(
            "Who would begin: probability that the first state begins a conflict with the second in"
            f" {int(begins['year'].iloc[0])} ({begins['interval'].iloc[0]})",
            f"{stem}_initiation", begins.head(8),
            {"First – second": lambda r: f"{r['challenger']} – {r['target']}"} | _CHANGE,
        ),
        "explained": _explained(dyads.iloc[0].to_dict()),
    }  # fmt: skip


def _explained(row: Row) -> str:
    """Where the largest difference comes from, in words."""
    own, contagion = (
        tuple(float(row[key]) for key in (name, f"{name}_lower", f"{name}_upper"))
        for name in SOURCES
    )
    parts = parts_words(own, contagion, edited=row["reach"] != "feedback")
    left = tuple(filter(None, str(row["leaves_range"]).split(", ")))
    support = support_words(left, row["percentile_before"], row["percentile_after"])
    said = f"The largest difference is that of {row['state_a']}–{row['state_b']}."
    return " ".join(filter(None, (said, parts, support)))


def _unusual(dyads: pd.DataFrame, stem: str) -> View:
    """Pairs that the edits take farthest from what the fit has seen, among those they move most."""
    far = dyads[(dyads["percentile_after"] > UNUSUAL) & (dyads["percentile_before"] <= UNUSUAL)]
    far = pd.concat([dyads[dyads["leaves_range"] != ""], far])
    far = _largest(far[~far.index.duplicated()])
    return view(
        "Extrapolation: pairs with the largest differences that the edits take out of what the fit"
        " has seen",
        stem, far.head(8),
        {"Pair": pair, "#Difference (points)": _points("difference"),
         "#Percentile before": lambda r: number(r["percentile_before"], 0),
         "#Percentile after": lambda r: number(r["percentile_after"], 0),
         "Features that leave the range": lambda r: str(r["leaves_range"]) or "none"},
    )  # fmt: skip


def _region_view(table: pd.DataFrame, file: str) -> View:
    first, last = int(table["year"].min()), int(table["year"].max())
    sums = table.groupby("region", sort=False)[list(_WORLDS)].sum()

    def total(world: str, places: int, *, sign: bool = False) -> Callable[[Row], str]:
        return lambda r: number(sums[world][r["region"]], places, sign=sign)

    def in_last(world: str) -> Callable[[Row], str]:
        return lambda r: (
            f"{number(r[world], 1)}"
            f" ({number(r[f'{world}_lower'], 0)}–{number(r[f'{world}_upper'], 0)})"
        )

    return view(
        f"Expected onsets by region: sums over {first}–{last}, and the year {last} with its"
        f" interval ({table['interval'].iloc[0]})",
        file, table[table["year"] == last],
        {"Region": "region", "#Status quo, sum": total("status_quo", 1),
         "#Scenario, sum": total("scenario", 1),
         "#Difference": total("difference", 2, sign=True),
         f"#Status quo, {last}": in_last("status_quo"), f"#Scenario, {last}": in_last("scenario")},
    )  # fmt: skip


#: Pairs in the table beside the page, on the page, and in words.
_PAIRS, _SHOWN, _TOLD = 200, 10, 3
_FACTS = (
    "says", "standing", "why", "log_evidence", "log_evidence_error", "evidence_behind",
    "counts_twice", "log_score", "score_behind", "score_behind_lower", "score_behind_upper",
    "scored_years", "scored_data",
)  # fmt: skip


def rival_tables(results: Mapping[str, xr.Dataset]) -> dict[str, pd.DataFrame]:
    """Tables of the theories and of each scenario under them (`simulate_rivals`), by file."""
    found: dict[str, pd.DataFrame] = {}
    for name, result in results.items():
        # The model is the same under every scenario, and so is what the record says of theories.
        columns = {fact: result[fact].to_numpy() for fact in _FACTS}
        found["theories"] = pd.DataFrame({"theory": result["theory"].to_numpy()} | columns)
        found[_stem(name)] = rival_table(result, top=_PAIRS)
    return found


def rival_views(name: str, results: Mapping[str, xr.Dataset]) -> dict[str, Any] | None:
    """Sentences on the first pairs of a scenario, and a table by theory; None if not asked for."""
    if name not in results:
        return None
    result = results[name]
    table = rival_table(result, top=_SHOWN)
    names = result["theory"].to_numpy().astype(str)
    out = dict(zip(names, (result["standing"].to_numpy() == REFUTED).tolist(), strict=True))
    order = sorted(names, key=lambda theory: out[theory])
    rows = {
        key: part.set_index("theory").to_dict("index")
        for key, part in table.groupby(["state_a", "state_b"], sort=False)
    }

    def under(theory: str) -> Callable[[Row], str]:
        return lambda r: points_words(rows[r["state_a"], r["state_b"]][theory])

    level, last = str(table["interval"].iloc[0]), int(table["last_year"].iloc[0])
    return {
        "answers": rival_answers(result, top=_TOLD),
        "pairs": view(
            f"The paired difference in percentage points by the end of {last}, under each theory"
            f" ({level}); those without a vote last",
            _stem(name),
            table.drop_duplicates(["state_a", "state_b"]),
            {"Pair": pair, **{f"#{t}{' (refuted)' * out[t]}": under(t) for t in order}},
        ),
    }


def standing_view(tables: Tables) -> View | None:
    """What each theory says, and what the record says of it; None if not asked for."""
    if "theories" not in tables:
        return None
    return view(
        "The theories, and what the record says of each: log marginal likelihood of the years of"
        " the fit, and sum of the log probabilities of forecasts out of sample (larger is better)",
        "theories",
        tables["theories"],
        {
            "Theory": "theory",
            "What it says": "says",
            "Standing": "standing",
            "#Log evidence": lambda r: number(r["log_evidence"], 1),
            "#Log score": lambda r: number(r["log_score"], 1),
            "Why": _why,
        },
    )


def _stem(name: str) -> str:
    return f"scenario_{slug(name)}_theories"


def _why(facts: Row) -> str:
    more = [
        "its priors have seen some of these conflicts, which are counted twice"
        if facts["counts_twice"]
        else "",
        "scored on the record as it was before the data changed"
        if facts["scored_years"] and not facts["scored_data"]
        else "",
    ]
    return "; ".join(filter(None, [str(facts["why"]), *more]))
