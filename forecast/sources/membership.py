"""Which states are in an alliance, and which alliance a name means."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from forecast.errors import UnknownNameError
from forecast.sources.spells import span_years

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = [
    "ALLIANCE_ALIASES",
    "alliance_named",
    "alliance_of",
    "find_alliance",
    "member_codes",
]

#: Names in common use that the tables do not list, by the short name that they stand for.
_NAMED: Mapping[str, str] = {
    "Alliance of Sahel States": "aes",
    "Arab Maghreb Union": "amu",
    "African Union": "au",
    "CENTO": "baghdad pact, central treaty organization",
    "CSTO": "collective security treaty organization, tashkent treaty",
    "CIS": "commonwealth of independent states",
    "ECOWAS": "economic community of west african states",
    "EU": "european union",
    "Five Power Defence Arrangements": "fpda",
    "GCC": "gulf co-operation council, gulf cooperation council",
    "Arab League": "league of arab states",
    "SEATO": "manila pact",
    "NATO": "north atlantic treaty organization, otan",
    "OAS": "organization of american states",
    "Rio Treaty": "rio, rio pact, tiar",
    "SCO Treaty": "sco, shanghai cooperation organization",
    "SADC": "southern african development community",
    "Warsaw Pact": "warsaw treaty, warsaw treaty organization",
    "WEU": "western european union",
}
ALLIANCE_ALIASES: Mapping[str, str] = MappingProxyType(
    {name: short for short, names in _NAMED.items() for name in names.split(", ")}
)


def find_alliance(alliances: pd.DataFrame, name: str, detail: str = "") -> pd.Series:
    """Row of the alliance of a short name, identifier, full name or alias, in any case.

    An unknown one is an UnknownNameError with the nearest; `detail` is the end of its message.
    """
    wanted = str(name).strip().casefold()
    wanted = ALLIANCE_ALIASES.get(wanted, wanted).casefold()
    for column in ("short_name", "alliance_id", "name"):
        hit = alliances[alliances[column].str.casefold() == wanted]
        if len(hit):
            return hit.iloc[0]
    valid = [*alliances["short_name"], *alliances["alliance_id"], *ALLIANCE_ALIASES]
    raise UnknownNameError("alliance", name, valid, detail)


def alliance_named(tables: Tables, name: str) -> str | None:
    """Short name of the alliance that a name means; None if there is none of that name."""
    try:
        return str(find_alliance(tables.alliances, name)["short_name"])
    except UnknownNameError:
        return None


def member_codes(tables: Tables, alliance_id: str, year: int) -> frozenset[int]:
    """COW numbers of the members of an alliance on 31 December of a year."""
    table = tables.members
    first, last = span_years(table)
    day = pd.Timestamp(year=year, month=12, day=31)
    holds = (table["alliance_id"] == alliance_id).to_numpy() & (first <= year) & (last >= year)
    holds &= (table["end"].isna() | (table["end"] >= day)).to_numpy()
    return frozenset(int(code) for code in table["ccode"].to_numpy()[holds])


@lru_cache(maxsize=64)
def alliance_of(tables: Tables, codes: frozenset[int], year: int) -> str | None:
    """Short name of the alliance that has just these members on 31 December; None without one.

    Of several the one that was founded first.
    """
    table = tables.members
    first, last = span_years(table)
    here = table[(first <= year) & (last >= year)]
    size = here[here["ccode"].isin(codes)].groupby("alliance_id")["ccode"].nunique()
    likely = set(size.index[size == len(codes)])
    order = tables.alliances.sort_values(["start", "alliance_id"], kind="stable")
    for alliance_id, name in zip(order["alliance_id"], order["short_name"], strict=True):
        if alliance_id in likely and member_codes(tables, str(alliance_id), year) == codes:
            return str(name)
    return None
