"""What a name means: COW state numbers inside, names and ISO 3166 codes at the edges; alliances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

import pandas as pd

from forecast.errors import ArgumentError, UnknownNameError
from forecast.sources.spells import span_years
from forecast.sources.state_index import StateIndex, name_in_year

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = [
    "ALLIANCE_ALIASES",
    "UNITED_STATES",
    "LabelKind",
    "alliance_named",
    "alliance_of",
    "find_alliance",
    "member_codes",
    "name_in_year",
    "region_of",
    "resolve_state",
    "resolve_states",
    "state_index",
    "state_label",
]

#: COW number of the United States.
UNITED_STATES = 2

LabelKind = Literal["name", "iso3", "abbrev"]


# A query resolves names on every call; the index of a data set is made once.
@lru_cache(maxsize=8)
def state_index(tables: Tables) -> StateIndex:
    """The names and codes of the states of a data set."""
    return StateIndex.of(tables.states)


def resolve_states(
    tables: Tables, names: Sequence[str | int], *, year: int, note: bool = True
) -> list[int]:
    """COW numbers of states that were in the system in a year, in the order given.

    Each by COW number (``750`` or ``"750"``), ISO 3166 code of two or three letters, COW
    abbreviation, or name: in use, official, former or in another language, in any case; or
    ``"iso:AUS"``, ``"cow:AUS"``, ``"gw:340"``. The rule is that of
    `forecast.sources.state_index`: three letters given together are of one system, and where
    nothing tells which, ISO 3166 goes before COW, with an `AmbiguousCodeWarning` if both have a
    member of that code (``AUS`` is Australia in ISO and Austria in COW); without `note` none.
    After the coverage of the data a state that is still a member counts. Where two codes of one
    name share the year of a change (Germany 255 and 260 in 1990), the one that is a member at its
    end.

    Nothing of that name or code is an UnknownNameError with the nearest that has; a state that was
    not a member in that year, and a place that is none, a NotAMemberError that says who stood for
    it; a name that several members share an ArgumentError that asks which.
    """
    try:
        return state_index(tables).resolve(names, year, note=note)
    except UnknownNameError as error:
        if (alliance := alliance_named(tables, str(error.name))) is None:
            raise
        raise UnknownNameError(
            "state", error.name, (),
            f"It is an alliance: forecast.members({alliance!r}) are its states, a set that"
            " forecast.risk asks about with how='any' (`forecast risk --any`).",
        ) from None  # fmt: skip


def resolve_state(tables: Tables, name_or_code: str | int, *, year: int) -> int:
    """COW number of one state that was in the system in a year, as `resolve_states` has it."""
    return resolve_states(tables, [name_or_code], year=year)[0]


def state_label(tables: Tables, ccode: int, *, year: int, kind: LabelKind = "name") -> str:
    """Label of a state in a year, for people; outside all its spells that of the nearest one.

    Where a state has no ISO code, its COW abbreviation stands in.
    """
    if kind not in get_args(LabelKind):
        raise ArgumentError(f"kind={kind!r}: expected one of {', '.join(get_args(LabelKind))}.")
    index = state_index(tables)
    if ccode not in index.spells:
        raise UnknownNameError("state", ccode, (), "Expected a COW number.")
    label = index.nearest_spell(int(ccode), year).labels[kind]
    return name_in_year(int(ccode), label, year) if kind == "name" else label


#: Region of a pair whose two states are in different regions.
BETWEEN = "Between regions"
#: Last COW number of each region's range; within the Middle East's, South Sudan is elsewhere.
_REGION_ENDS: tuple[tuple[int, str], ...] = (
    (199, "Americas"),
    (399, "Europe"),
    (599, "Sub-Saharan Africa"),
    (699, "Middle East and North Africa"),
    (899, "Asia"),
    (999, "Oceania"),
)
_REGION_EXCEPTIONS: Mapping[int, str] = {626: "Sub-Saharan Africa"}


def region_of(ccode: int) -> str:
    """Region of a state, by the range that its COW number is in.

    One of `forecast.sources.schemas.REGIONS`: the data set's own division, in which the numbers
    from 600 are the Middle East and North Africa except South Sudan (626).
    """
    if not 2 <= ccode <= 999:
        raise ArgumentError(f"ccode={ccode}: a COW state number is from 2 to 999.")
    if ccode in _REGION_EXCEPTIONS:
        return _REGION_EXCEPTIONS[ccode]
    return next(region for last, region in _REGION_ENDS if ccode <= last)


#: Names in common use that the tables do not list, by the short name that they stand for.
_NAMED_ALLIANCES: Mapping[str, str] = {
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
    {name: short for short, names in _NAMED_ALLIANCES.items() for name in names.split(", ")}
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
