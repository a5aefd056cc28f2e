"""COW Inter-State Wars 4.0, and the directed dyadic war file made from them.

The participant file is paired side by side over shared days, like MIDB; the dyadic file has the
pairs that fought each other, after its authors' reading of each war.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.sources.cells import Kind, cell_error
from forecast.sources.official.disputes import (
    coded,
    conflicts_of,
    deaths_to_class,
    merged_spells,
    opposed_pairs,
    without_mirror,
)
from forecast.sources.official.readings import (
    OfficialReader,
    dates_of,
    given_roles,
    reading_of,
    refuse_end_before_start,
    year_dates,
)
from forecast.sources.reader import columns_of, read_official
from forecast.sources.tables import Reading

__all__ = ["READERS"]

_ROLES: Mapping[str, str] = {
    "wars": "Inter-StateWarData_v4.0.csv, participants: WarNum, WarName, ccode, Side, "
    "Start*1/End*1, Start*2/End*2, Initiator, Outcome, BatDeath",
    "dyadic": "directed_dyadic_war.csv, directed dyad-years: warnum, statea, stateb, warstrt*, "
    "warend*, year, warolea, waroleb, batdths",
}

#: Years that release 4 covers by its authors' account: its last war began in 2003.
COVERS = (1816, 2007)

_PARTS = ("Year", "Month", "Day")
_PERIODS: Mapping[str, Kind] = {
    f"{bound}{part}{period}": "year?" if part == "Year" else "int?"
    for period in (1, 2)
    for bound in ("Start", "End")
    for part in _PARTS
}
_WARS: Mapping[str, Kind] = {
    "WarNum": "int",
    "WarName": "str",
    "ccode": "int",
    "Side": "int",
    **_PERIODS,
    "Initiator": "int",
    "Outcome": "int",
    "BatDeath": "int?",
}
_NAMES = {"WarNum": "number", "WarName": "name", "BatDeath": "deaths"}
#: Outcome for a state. 4 and 7: the war turned into another kind, 8: the state changed sides.
_OUTCOMES = dict(enumerate((
    "victory", "defeat", "compromise", "unclear", "ongoing", "stalemate", "unclear", "unclear",
), start=1))  # fmt: skip
#: -8 not applicable, -9 unknown; -7 is still going on.
_UNKNOWN = ("", "NA", "-9", "-8")
_DYADIC: Mapping[str, Kind] = {
    **dict.fromkeys(("warnum", "statea", "stateb", "warendyr"), "int"),
    **dict.fromkeys(("warstrtyr", "year"), "year"),
    **dict.fromkeys(("warstrtmnth", "warstrtday", "warendmnth", "warenday"), "int?"),
    **{"warolea": "int", "waroleb": "int", "outcomea": "int?", "batdths": "int?"},
}


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Wars between states: conflicts, and from the participant file disputes and participants.

    Pairs come from the dyadic file where it is given; the table ``cow_war_inter`` of the R package
    peacesciencer is taken as one. Level ``war``. A war has more than 1,000 battle deaths by
    definition, so class of deaths 6 in the participant file; in the dyadic file the class of the
    pair's own. Roles: originator if in the war from its first day. Initiator: as the file flags
    the states.
    """
    given_roles(files, _ROLES, ("wars",), ("dyadic",))
    readings: list[Reading] = []
    if "wars" in files:
        readings = _read_wars(files["wars"])
    if "dyadic" in files:
        path = files["dyadic"]
        table = "cowinteronset" in columns_of(path)
        dyadic = _read_table(path) if table else _read_dyadic(path)
        readings = [dyadic, *(r for r in readings if r.table != "conflicts")]
    return readings


def _reading(table: str, frame: pd.DataFrame, file: str) -> Reading:
    return reading_of(table, frame, file=file, first=COVERS[0], last=COVERS[1])


def _read_wars(path: Path) -> list[Reading]:
    participants = _participants(path)
    spells = opposed_pairs(participants)
    spells["name"], spells["level"], spells["deaths_class"] = spells["name_1"], "war", 6
    spells["outcome"] = _pair_outcome(spells["result_1"], spells["result_2"])
    spells["settlement"] = "unclear"
    conflicts = conflicts_of(
        merged_spells(spells), prefix="war", label="War", source="COW Inter-State Wars 4.0"
    )
    participants["conflict_id"] = "war-" + participants["number"].astype(str)
    return [
        _reading("conflicts", conflicts, f"{path.name}, pairs of participants"),
        _reading("disputes", _disputes(participants), path.name),
        _reading("participants", participants, path.name),
    ]


def _participants(path: Path) -> pd.DataFrame:
    """One row each time a state is in a war; its deaths are in the first of them."""
    table = read_official(
        path, _WARS, rename=_NAMES, na={"BatDeath": _UNKNOWN, **dict.fromkeys(_PERIODS, _UNKNOWN)}
    )
    table["side"] = coded(table, "Side", {1: "a", 2: "b"}, file=path.name)
    table["result"] = coded(table, "Outcome", _OUTCOMES, file=path.name)
    table["began"] = coded(table, "Initiator", {1: "yes", 2: "no"}, file=path.name) == "yes"
    periods = []
    for period in (1, 2):
        own = table[table[f"StartYear{period}"].notna()].copy()
        for bound in ("Start", "End"):
            columns = tuple(f"{bound}{part}{period}" for part in _PARTS)
            dates, precision = dates_of(own, columns, last=bound == "End", file=path.name)
            own[bound.lower()], own[f"{bound.lower()}_precision"] = dates, precision
        if period == 2:
            own["deaths"] = pd.NA
        periods.append(own)
    out = pd.concat(periods).sort_values(["number", "ccode", "start"], kind="stable")
    refuse_end_before_start(out, path.name)
    first = out["start"].groupby(out["number"]).transform("min")
    out["role"] = np.where(out["start"] == first, "originator", "joiner")
    out["level"] = "war"
    deaths = out["deaths"].astype("Float64")
    out["deaths_class"] = deaths_to_class(deaths)
    out["deaths"] = deaths.to_numpy(dtype=float, na_value=np.nan)
    return out


def _pair_outcome(one: pd.Series, two: pd.Series) -> pd.Series:
    """Outcome of a pair, from the viewpoint of the first state."""
    out = pd.Series("unclear", index=one.index)
    out[(one == "victory") & (two == "defeat")] = "victory_a"
    out[(one == "defeat") & (two == "victory")] = "victory_b"
    return out.mask((one == two) & one.isin(["compromise", "stalemate", "ongoing"]), one)


def _disputes(participants: pd.DataFrame) -> pd.DataFrame:
    """One row per war: its first and last day, and what most of its states agree on."""
    starts = participants.sort_values("start", kind="stable").groupby("number")
    out = starts[["conflict_id", "name", "start", "start_precision"]].first()
    open_end = participants["end"].isna().groupby(participants["number"]).any()
    ends = participants.sort_values("end", kind="stable").groupby("number")
    out[["end", "end_precision"]] = ends[["end", "end_precision"]].last()
    out["end"] = out["end"].where(~open_end)
    # The states that began on each side stand for it.
    head = participants[participants["role"] == "originator"]
    results = head.pivot_table(index="number", columns="side", values="result", aggfunc="first")
    results = results.reindex(out.index)
    out["outcome"] = _pair_outcome(results["a"], results["b"])
    out.loc[open_end, "outcome"] = "ongoing"
    out["level"], out["settlement"] = "war", "unclear"
    out["deaths_class"] = pd.array([6] * len(out), dtype="Int64")
    out["reciprocated"] = pd.array([1] * len(out), dtype="Int64")
    return out


def _read_dyadic(path: Path) -> Reading:
    table = read_official(path, _DYADIC, na={"batdths": _UNKNOWN})
    low = table["statea"] < table["stateb"]
    alone = without_mirror(table, ["warnum", "year"], [["statea", "stateb"]])
    if alone.any():
        row = table.iloc[int(np.flatnonzero(alone)[0])]
        found = (int(row["statea"]), int(row["stateb"]))
        raise cell_error(
            path.name, int(str(row.name)), "statea, stateb", found, "the pair in both directions"
        )
    table = table[low]
    out = pd.DataFrame({"number": table["warnum"]})
    out["ccode_1"], out["ccode_2"] = table["statea"], table["stateb"]
    roles = {1: "originator", 2: "joiner", 3: "originator", 4: "joiner"}
    for i, column in ((1, "warolea"), (2, "waroleb")):
        out[f"role_{i}"] = coded(table, column, roles, file=path.name)
        out[f"began_{i}"] = (table[column] == 1).to_numpy(dtype=bool)
    # A few pairs have role 1 on both sides: who began is then not known.
    both = out["began_1"] & out["began_2"]
    out[["began_1", "began_2"]] = out[["began_1", "began_2"]].mask(both, False)
    starts, ends = (
        ("warstrtyr", "warstrtmnth", "warstrtday"),
        ("warendyr", "warendmnth", "warenday"),
    )
    out["start"], out["start_precision"] = dates_of(table, starts, file=path.name, coarsen=True)
    # Two pairs of release 4.01 are damaged: 2 and 300 has day and month exchanged, 325 and 355
    # ends in the year 19118. Of them only the years listed are sure.
    month_wrong = (table["warstrtmnth"] > 12).fillna(False)
    damaged = (month_wrong | ~table["warendyr"].between(table["year"], COVERS[1])).to_numpy(bool)
    safe = table[[*ends]].mask(pd.Series(damaged, index=table.index), 0)
    out["end"], out["end_precision"] = dates_of(safe, ends, last=True, file=path.name)
    out.loc[damaged, "end"] = year_dates(table["year"], last=True)[damaged]
    out["level"], out["settlement"] = "war", "unclear"
    out["deaths_class"] = deaths_to_class(table["batdths"].astype("Float64"))
    results = {1: "victory_a", 2: "stalemate", 3: "victory_b"}
    out["outcome"] = coded(table, "outcomea", results, file=path.name, missing="unclear")
    conflicts = conflicts_of(
        merged_spells(out), prefix="war", label="War", source="COW Directed Dyadic Interstate War"
    )
    return _reading("conflicts", conflicts, path.name)


def _read_table(path: Path) -> Reading:
    columns: dict[str, Kind] = dict.fromkeys(
        ("warnum", "ccode1", "ccode2", "cowinteronset", "sidea1"), "int"
    )
    columns["year"] = "year"
    columns |= dict.fromkeys(("initiator1", "initiator2"), "int")
    columns |= dict.fromkeys(("outcome1", "outcome2"), "int?")
    names = {"warnum": "number", "ccode1": "ccode_1", "ccode2": "ccode_2"}
    table = read_official(path, columns, rename=names)
    pair = ["number", "ccode_1", "ccode_2"]
    table = table[table["sidea1"] == 1].drop_duplicates([*pair, "year"])
    table = table.sort_values([*pair, "year"], kind="stable")
    step = table.groupby(pair)["year"].diff()
    spell = (step.isna() | (step > 1) | (table["cowinteronset"] == 1)).cumsum()
    last = table.groupby(spell)["year"].transform("max")
    first_of_war = table.groupby("number")["year"].transform("min")
    head = ~spell.duplicated()
    table, last, first_of_war = table[head], last[head], first_of_war[head]
    out = table[pair].copy()
    for i in (1, 2):
        out[f"began_{i}"] = table[f"initiator{i}"] == 1
        out[f"result_{i}"] = coded(
            table, f"outcome{i}", _OUTCOMES, file=path.name, missing="unclear"
        )
        out[f"role_{i}"] = np.where(table["year"] == first_of_war, "originator", "joiner")
    out["start"], out["end"] = year_dates(table["year"]), year_dates(last, last=True)
    out["start_precision"], out["end_precision"] = "year", "year"
    out["level"], out["settlement"] = "war", "unclear"
    out["deaths_class"] = pd.array([6] * len(out), dtype="Int64")
    out["outcome"] = _pair_outcome(out["result_1"], out["result_2"])
    conflicts = conflicts_of(out, prefix="war", label="War", source="COW Inter-State Wars 4.0")
    return _reading("conflicts", conflicts, path.name)


READERS: Mapping[str, OfficialReader] = {"cow_wars": OfficialReader(_ROLES, read)}
