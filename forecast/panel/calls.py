"""Calls on alliances: when a state that was owed defence was attacked, and who came.

One entry for each conflict, target and state that was bound to defend it (Leeds, Long & Mitchell
2000 test alliances so in wars). Whether a call was honoured is read off the same conflict: the
bound state fights one of the target's opponents in it and was not in it from the beginning.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.panel.window import Variable, Window, coverage_window
from forecast.sources.schemas import LEVELS
from forecast.sources.spells import day_year, span_days

__all__ = ["alliance_calls", "calls"]


def calls(window: Window) -> dict[str, Variable]:
    """The calls on alliances as arrays over `call`, of all covered years up to the window's last.

    All int: ``call_year``, in which the conflict began; ``call_honoured_year``, in which the bound
    state joined it, 0 if it never did; ``call_conflict``, a number for each conflict;
    ``call_bound`` and ``call_target``, COW numbers; ``call_level``, position in
    `forecast.sources.schemas.LEVELS` of the highest level between the target and those who attacked
    it.
    """
    tables = window.tables
    first, last = coverage_window(tables.coverage, ("conflicts", "alliances", "members"))
    found = alliance_calls(tables.conflicts, tables.members)
    found = found[found["year"].between(first, min(last, window.last))]
    honoured = found["honoured_year"].where(found["honoured_year"] <= window.last, 0)
    return {
        "call_year": (("call",), found["year"].to_numpy(dtype=np.int16)),
        "call_honoured_year": (("call",), honoured.to_numpy(dtype=np.int16)),
        "call_conflict": (("call",), found["conflict"].to_numpy(dtype=np.int32)),
        "call_bound": (("call",), found["bound"].to_numpy(dtype=np.int16)),
        "call_target": (("call",), found["target"].to_numpy(dtype=np.int16)),
        "call_level": (("call",), found["level"].to_numpy(dtype=np.int8)),
    }


def alliance_calls(conflicts: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Who was called upon in which conflict, and when it came.

    A target is an originator of a conflict that another originator initiated, alone. Its attacker
    is outside the pact: not a member of the treaty on the first day of the conflict (if only the
    year is known, the first of January). Bound is a member that owed defence under the treaty
    since before that day: pacts that were made because of the conflict do not count. A state that
    is an originator of the conflict itself has other reasons to fight and is not called upon.

    Columns ``conflict`` (number of the conflict), ``target``, ``bound`` (COW numbers), ``year``,
    ``honoured_year`` (0: never), ``level``; one row for each conflict, target and bound state, in
    this order.
    """
    sides = _sides(conflicts)
    spells = _spells(members)
    joined = sides.loc[~sides["originator"], ["conflict", "state", "opponent", "year"]]
    attacks = sides.loc[
        sides["attacked"], ["conflict", "state", "opponent", "day", "year", "level"]
    ]
    attacks = attacks.rename(columns={"state": "target"}).reset_index(names="attack")

    party = spells.drop(columns="defense").rename(columns={"state": "target"})
    pacts = _in_force(attacks.merge(party, on="target"))
    inside = pacts.merge(spells.rename(columns={"state": "opponent"}), on=["treaty", "opponent"])
    inside = _in_force(inside)[["attack", "treaty"]].drop_duplicates()
    pacts = pacts.merge(inside, on=["attack", "treaty"], how="left", indicator=True)
    pacts = pacts[pacts["_merge"] == "left_only"].drop(columns="_merge")

    owing = spells.loc[spells["defense"], ["treaty", "state", "first", "last"]]
    found = _in_force(pacts.merge(owing.rename(columns={"state": "bound"}), on="treaty"))
    first_day = sides.loc[sides["originator"], ["conflict", "state"]].drop_duplicates()
    found = found.merge(
        first_day.rename(columns={"state": "bound"}),
        on=["conflict", "bound"],
        how="left",
        indicator=True,
    )
    found = found[(found["_merge"] == "left_only") & (found["bound"] != found["target"])]
    key = ["conflict", "target", "bound"]
    found = found.groupby(key, as_index=False).agg(year=("year", "min"), level=("level", "max"))

    against = sides[["conflict", "state", "opponent"]].rename(columns={"state": "target"})
    came = found[key].merge(against, on=["conflict", "target"])
    came = came.merge(
        joined.rename(columns={"state": "bound", "year": "honoured_year"}),
        on=["conflict", "bound", "opponent"],
    )
    came = came.groupby(key, as_index=False).agg(honoured_year=("honoured_year", "min"))
    found = found.merge(came, on=key, how="left")
    found["honoured_year"] = found["honoured_year"].fillna(0).astype(np.int64)
    return found[[*key, "year", "honoured_year", "level"]]


def _sides(conflicts: pd.DataFrame) -> pd.DataFrame:
    """Each dyad of each conflict, seen from either side."""
    days, _ = span_days(conflicts)
    common = {
        "conflict": pd.factorize(conflicts["conflict_id"])[0].astype(np.int64),
        "day": days,
        "year": day_year(days),
        "level": conflicts["level"].map({name: k for k, name in enumerate(LEVELS)}).to_numpy(),
    }
    initiator = conflicts["initiator"].to_numpy(dtype=np.str_)
    first_day = {
        side: (conflicts[f"role_{side}"] == "originator").to_numpy(dtype=bool) for side in "ab"
    }
    rows = [
        pd.DataFrame(
            {
                **common,
                "state": conflicts[f"ccode_{me}"].to_numpy(dtype=np.int64),
                "opponent": conflicts[f"ccode_{you}"].to_numpy(dtype=np.int64),
                "originator": first_day[me],
                "attacked": first_day["a"] & first_day["b"] & (initiator == you),
            }
        )
        for me, you in (("a", "b"), ("b", "a"))
    ]
    return pd.concat(rows, ignore_index=True)


def _spells(members: pd.DataFrame) -> pd.DataFrame:
    first, last = span_days(members)
    return pd.DataFrame(
        {
            "treaty": pd.factorize(members["alliance_id"])[0],
            "state": members["ccode"].to_numpy(dtype=np.int64),
            "first": first,
            "last": last,
            "defense": members["defense"].to_numpy(dtype=bool),
        }
    )


def _in_force(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose spell began before the day and still runs on it, without the spell."""
    here = (rows["first"] < rows["day"]) & (rows["last"] >= rows["day"])
    return rows[here].drop(columns=["first", "last"])
