"""What a name means: COW state numbers inside, names and ISO 3166 codes at the edges; alliances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from forecast.errors import ArgumentError, NotAMemberError, UnknownNameError
from forecast.sources.spells import OPEN_YEAR, span_years

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = [
    "ALIASES",
    "ALLIANCE_ALIASES",
    "RENAMED",
    "UNITED_STATES",
    "LabelKind",
    "alliance_named",
    "alliance_of",
    "find_alliance",
    "member_codes",
    "name_in_year",
    "region_of",
    "resolve_state",
    "state_label",
]

#: COW number of the United States.
UNITED_STATES = 2

#: Names in common use that the tables do not list, with every code they have stood for.
_NAMED: Mapping[tuple[int, ...], str] = {
    (2,): "united states of america, us, america",
    (200,): "uk, great britain, britain",
    (255, 260): "germany, federal republic of germany",
    (260,): "west germany, brd, frg",
    (265,): "east germany",
    (365,): "soviet union, ussr, russia, russian federation",
    (345,): "yugoslavia, serbia, serbia and montenegro",
    (316,): "czechia",
    (343,): "north macedonia",
    (346,): "bosnia",
    (679, 678): "yemen",
    (678,): "north yemen",
    (680,): "south yemen",
    (816,): "vietnam, viet nam, north vietnam, democratic republic of vietnam",
    (817,): "south vietnam",
    (731,): "north korea, dprk",
    (732,): "south korea, rok",
    (775,): "burma, myanmar",
    (780,): "ceylon",
    (630,): "persia",
    (696,): "uae",
    (651,): "united arab republic",
    (490,): "zaire, drc, congo-kinshasa",
    (484,): "congo-brazzaville",
    (439,): "upper volta",
    (434,): "dahomey",
    (552,): "rhodesia",
    (572,): "swaziland, eswatini",
    (437,): "cote d'ivoire, ivory coast",
    (402,): "cape verde, cabo verde",
    (860,): "east timor, timor-leste",
    (640,): "turkiye, türkiye",
    (811,): "kampuchea",
    (210,): "holland",
    (710,): "people's republic of china, prc",
    (713,): "republic of china",
}
ALIASES: Mapping[str, tuple[int, ...]] = {
    name: codes for codes, names in _NAMED.items() for name in names.split(", ")
}

LabelKind = Literal["name", "iso3", "abbrev"]


@dataclass(frozen=True)
class _Spell:
    """One membership spell with its labels."""

    first: int
    last: int
    lasts_year: bool  # still a member on 31 December of the last year
    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class _Index:
    """Codes by each way to name a state, in the order of precedence, and the spells of a code."""

    ways: tuple[Mapping[str, tuple[int, ...]], ...]
    spells: Mapping[int, tuple[_Spell, ...]]
    names: tuple[str, ...]

    def candidates(self, given: str | int) -> list[tuple[int, ...]]:
        """Codes that could be meant."""
        if isinstance(given, int) or given.strip().isdecimal():
            # Python reads no number of over 4,300 digits, and no code has ten.
            code = int(given) if isinstance(given, int) or len(given.strip()) < 10 else -1
            return [(code,)] if code in self.spells else []
        text = given.strip().casefold()
        return [way[text] for way in self.ways if text in way]

    def present(self, codes: tuple[int, ...], year: int) -> list[int]:
        """Those that were members in the year; at its end, if there are several."""
        during = [c for c in codes if any(s.first <= year <= s.last for s in self.spells[c])]
        if len(during) < 2:
            return during
        lasting = [
            c
            for c in during
            if any(
                s.first <= year and (year < s.last or (year == s.last and s.lasts_year))
                for s in self.spells[c]
            )
        ]
        return lasting or during

    def nearest_spell(self, code: int, year: int) -> _Spell:
        """The spell that holds in the year, or else the one closest to it."""
        return min(self.spells[code], key=lambda s: max(s.first - year, year - s.last, 0))

    def membership(self, code: int) -> str:
        """The spells of a code in words."""
        return ", ".join(s.text for s in self.spells[code])


#: First calendar year of the present name of a state that was renamed within one spell; in
#: ``states.csv`` its name is "present name/former name".
RENAMED: Mapping[int, int] = {345: 2003, 365: 1992}


# A query resolves names on every call; the index of a data set is made once.
@lru_cache(maxsize=8)
def _index(tables: Tables) -> _Index:
    states = tables.states
    first, last = span_years(states)
    spells: dict[int, list[_Spell]] = {}
    ways: list[dict[str, dict[int, None]]] = [{}, {}, {}, {}]
    rows: list[Any] = list(states.itertuples(index=False))
    for i, row in enumerate(rows):
        code, iso3 = int(row.ccode), None if pd.isna(row.iso3) else str(row.iso3)
        name, abbrev = str(row.name), str(row.abbrev)
        is_open = int(last[i]) == OPEN_YEAR
        spell = _Spell(
            first=int(first[i]),
            last=int(last[i]),
            lasts_year=is_open or (row.end.month, row.end.day) == (12, 31),
            text=f"{row.start.date()} to {'now' if is_open else row.end.date()}",
            # Where there is no ISO code, the COW abbreviation stands in.
            labels={"name": name, "abbrev": abbrev, "iso3": iso3 or abbrev},
        )
        spells.setdefault(code, []).append(spell)
        # "Russia/Soviet Union" answers to the whole and to each part.
        named = ([iso3] if iso3 else [], [abbrev], [name, *name.split("/")])
        for way, texts in enumerate(named):
            for text in texts:
                ways[way].setdefault(text.strip().casefold(), {})[code] = None
    for alias, codes in ALIASES.items():
        known = [c for c in codes if c in spells]
        if known:
            ways[3][alias] = dict.fromkeys(known)
    names = [*states["name"], *states["iso3"].dropna(), *states["abbrev"], *ALIASES]
    return _Index(
        ways=tuple({text: tuple(codes) for text, codes in way.items()} for way in ways),
        spells={code: tuple(own) for code, own in spells.items()},
        names=tuple(dict.fromkeys(names)),
    )


def resolve_state(tables: Tables, name_or_code: str | int, *, year: int) -> int:
    """COW number of a state that was in the system in a year.

    Given by COW number (``750`` or ``"750"``), ISO 3166 alpha-3 code, COW abbreviation, or name, in
    any case. Where an ISO code and an abbreviation collide among the members of the year (``AUS``
    is Australia in ISO and Austria in COW), ISO wins. After the coverage of the data a state that
    is still a member counts. Where two codes of one name share the year of a change (Germany 255
    and 260 in 1990), the one that is a member at its end.

    Nothing of that name or code is an UnknownNameError with the nearest that has; a state that was
    not a member in that year, or several that were and share the name, an ArgumentError.
    """
    if isinstance(name_or_code, bool) or not isinstance(name_or_code, (str, int)):
        raise ArgumentError(
            "A state is given by its name or code (str or int), found "
            f"{name_or_code!r} of type {type(name_or_code).__name__}."
        )
    index = _index(tables)
    candidates = index.candidates(name_or_code)
    for codes in candidates:
        present = index.present(codes, year)
        if len(present) == 1:
            return present[0]
        if present:
            named = ", ".join(
                f"{c} ({index.nearest_spell(c, year).labels['name']})" for c in present
            )
            raise ArgumentError(
                f"{name_or_code!r} is ambiguous in {year}: {named}. Give the COW number."
            )
    if not candidates:
        # The number nearest in spelling to a wrong number would only mislead.
        is_code = isinstance(name_or_code, int) or name_or_code.strip().isdecimal()
        valid = () if is_code else index.names
        detail = "Give a COW number, ISO code, COW abbreviation or name."
        if not is_code and (alliance := alliance_named(tables, str(name_or_code))) is not None:
            valid = ()
            detail = (
                f"It is an alliance: forecast.members({alliance!r}) are its states, a set that"
                " forecast.risk asks about with how='any' (`forecast risk --any`)."
            )
        raise UnknownNameError("state", name_or_code, valid, detail)
    found = dict.fromkeys(code for codes in candidates for code in codes)
    spells = "; ".join(f"{c}: {index.membership(c)}" for c in found)
    raise NotAMemberError(
        f"State {name_or_code!r} was not a member of the state system in {year}. "
        f"Its membership, by COW number, is {spells}."
    )


def state_label(tables: Tables, ccode: int, *, year: int, kind: LabelKind = "name") -> str:
    """Label of a state in a year, for people; outside all its spells that of the nearest one.

    Where a state has no ISO code, its COW abbreviation stands in.
    """
    if kind not in get_args(LabelKind):
        raise ArgumentError(f"kind={kind!r}: expected one of {', '.join(get_args(LabelKind))}.")
    index = _index(tables)
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


def name_in_year(ccode: int, name: str, year: int) -> str:
    """Of a renamed state's "present name/former name" the one of the year; else the name."""
    if ccode not in RENAMED or name.count("/") != 1:
        return name
    present, former = name.split("/")
    return present if year >= RENAMED[ccode] else former


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
