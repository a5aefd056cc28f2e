"""What populations, strata and groups are called on the page."""

from __future__ import annotations

__all__ = [
    "DEATHS",
    "GROUPS",
    "RELEVANCE",
    "SHORT_STRATA",
    "STATUSES",
    "group_words",
]

#: How a pair stands at the end of the record; the order is that of the page's data.
STATUSES = ("at peace", "ended", "under way")

#: A stratum in a cell of a table: what is on record between the two.
SHORT_STRATA = {
    "under way": "under way",
    "first ever": "none",
    "quiet": "an old one",
    "recurrent": "a recent one",
    "first ever, remote": "none; remote",
    "quiet, remote": "an old one; remote",
    "recurrent, remote": "a recent one; remote",
    "outside the population": "not of the model",
}

#: Classes of deaths of a pair in a conflict.
DEATHS = ("none", "1–25", "26–100", "101–250", "251–500", "501–999", "1,000 or more")

#: Groups of political relevance, by their names in the tables.
RELEVANCE = {"relevant": "politically relevant", "remote": "remote"}

GROUPS = {
    "first ever": "no conflict on record",
    "quiet": "an old conflict",
    "recurrent": "a recent conflict",
    "new dyad": "pairs new to the model",
    **RELEVANCE,
}


def group_words(kind: str, group: str) -> str:
    """Name of a group of rows in the tables of a backtest or record, in plain words."""
    if kind == "all":
        return "all pairs"
    if kind == "peace":
        return f"peace {group}"
    past, remote, _ = group.partition(", remote")
    return GROUPS.get(past, past) + (", remote" if remote else "")
