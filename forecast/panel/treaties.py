"""Who owes what to whom: obligations between states, and what each treaty is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from forecast.panel.window import BoolArray, IntArray, Variable, Window
from forecast.sources.spells import day_year, span_days, span_years
from forecast.sources.tables import OBLIGATIONS

__all__ = ["obligations", "treaties"]

_DEPTH = ("integrated_command", "military_coordination", "basing", "military_aid", "organization")
_CONDITIONS = (
    "cond_adversary",
    "cond_location",
    "cond_conflict",
    "cond_number",
    "cond_demands",
    "cond_nonprovocation",
)
#: Ids of COW's alliances. COW codes neither institutions nor conditions nor settlement of disputes;
#: the table of alliances has no missing flags, so that its zeros there are no observations.
_UNCODED = "cow-"


def obligations(window: Window, member: BoolArray) -> dict[str, Variable]:
    """``obligations``: `state` owes it to `other` under some treaty that binds both on one day.

    Several treaties between one pair are combined (any of them).

    Parameters
    ----------
    window : Window
        Axes of the world.
    member : numpy.ndarray, shape (year, state), bool
        Only members of the system owe and are owed.
    """
    members = window.tables.members
    n = len(window.states)
    owed = np.zeros((len(window.years), n, n, len(OBLIGATIONS)), dtype=bool)
    at, here = window.positions(members["ccode"].to_numpy())
    first, last = span_days(members)
    pledge = members[list(OBLIGATIONS)].to_numpy(dtype=bool)
    owing, owed_to = _pairs(members.groupby("alliance_id").indices.values())
    different = here[owing] & here[owed_to] & (at[owing] != at[owed_to])
    owing, owed_to = owing[different], owed_to[different]
    # Both are bound only while their spells run together.
    begin = np.maximum(first[owing], first[owed_to])
    finish = np.minimum(last[owing], last[owed_to])
    together = begin <= finish
    owing, owed_to = owing[together], owed_to[together]
    row, t = window.expand("members", day_year(begin[together]), day_year(finish[together]))
    i, j = at[owing[row]], at[owed_to[row]]
    both = member[t, i] & member[t, j]
    row, t, i, j = row[both], t[both], i[both], j[both]
    for k in range(len(OBLIGATIONS)):
        held = pledge[owing[row], k]
        owed[t[held], i[held], j[held], k] = True
    return {"obligations": (("year", "state", "other", "obligation"), owed)}


def _pairs(groups: Iterable[npt.ArrayLike]) -> tuple[IntArray, IntArray]:
    """All ordered pairs of member spells within a treaty."""
    rows_of = [np.asarray(rows, dtype=np.int64) for rows in groups]
    left = [np.repeat(rows, len(rows)) for rows in rows_of]
    right = [np.tile(rows, len(rows)) for rows in rows_of]
    if not left:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty
    return np.concatenate(left), np.concatenate(right)


def treaties(window: Window, member: BoolArray) -> dict[str, Variable]:
    """``treaty_member``, ``treaty_pledge`` and the attributes of each treaty.

    Parameters
    ----------
    window : Window
        Axes of the world.
    member : numpy.ndarray, shape (year, state), bool
        Only members of the system count.
    """
    members, table = window.tables.members, window.tables.alliances
    ids = table["alliance_id"].to_numpy(dtype=np.str_)
    shape = (len(window.years), len(ids), len(window.states))
    belongs = np.zeros(shape, dtype=bool)
    pledged = np.zeros((*shape, len(OBLIGATIONS)), dtype=bool)
    order = np.argsort(ids)
    treaty = order[np.searchsorted(ids[order], members["alliance_id"].to_numpy(dtype=np.str_))]
    row, t = window.expand("members", *span_years(members))
    at, here = window.positions(members["ccode"].to_numpy()[row])
    here &= member[t, at]
    row, t, at = row[here], t[here], at[here]
    belongs[t, treaty[row], at] = True
    pledge = members[list(OBLIGATIONS)].to_numpy(dtype=bool)
    for k in range(len(OBLIGATIONS)):
        held = pledge[row, k]
        pledged[t[held], treaty[row[held]], at[held], k] = True
    start, end = span_years(table)
    one = ("treaty",)
    uncoded = np.char.startswith(ids, _UNCODED)

    def known(columns: list[str]) -> npt.NDArray[np.float32]:
        number = table[columns].sum(axis=1).to_numpy(dtype=np.float32)
        return np.where(uncoded, np.float32(np.nan), number)

    return {
        "treaty_member": (("year", "treaty", "state"), belongs),
        "treaty_pledge": (("year", "treaty", "state", "obligation"), pledged),
        "treaty_depth": (one, known(list(_DEPTH))),
        "treaty_conditions": (one, known(list(_CONDITIONS))),
        "treaty_settlement": (one, known(["peaceful_settlement"])),
        "treaty_wartime": (one, table["wartime"].to_numpy(dtype=bool)),
        "treaty_multilateral": (one, (table["kind"] == "multilateral").to_numpy(dtype=bool)),
        "treaty_start": (one, start.astype(np.int16)),
        "treaty_end": (one, end.astype(np.int16)),
        "treaty_short_name": (one, table["short_name"].to_numpy(dtype=np.str_)),
    }
