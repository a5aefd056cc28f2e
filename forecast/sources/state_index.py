"""Which state a name or code means in a year: the one rule, over the spells of a table of states.

A whole number is a COW number. Text is, in this order, an ISO 3166 code of three letters, a COW
abbreviation, a name of the tables or in use, and whatever ISO 3166 has (two letters, official,
former and foreign names); the first of these that gives a member of the year counts. ``"iso:AUS"``,
``"cow:AUS"`` and ``"gw:340"`` say which system is meant. What several members share is asked back.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecast.errors import (
    AmbiguousCodeWarning,
    ArgumentError,
    NotAMemberError,
    UnknownNameError,
    shown,
)
from forecast.sources import place_names
from forecast.sources.gw import NO_STATE, to_cow_codes
from forecast.sources.place_names import key
from forecast.sources.spells import OPEN_YEAR, span_years

__all__ = ["Spell", "StateIndex", "name_in_year"]

#: Systems of letters and numbers that a prefix names.
_SYSTEMS = ("iso", "cow", "gw")
#: Similarity from which a name is a misspelling, and by which others are as near.
_NEAR, _AS_NEAR = 75.0, 4.0
_HOW = "Give a COW number, ISO code, COW abbreviation or name."


def name_in_year(ccode: int, name: str, year: int) -> str:
    """Name of a state in a year: of "present name/former name" the one of the year.

    No shared one: "Congo" is asked back where it is given, and so nobody is called by it.
    """
    distinct, last = place_names.DISTINCT.get(ccode, (name, 0))
    if name in place_names.SHARED and year <= last:
        return distinct
    if ccode not in place_names.RENAMED or name.count("/") != 1:
        return name
    present, former = name.split("/")
    return present if year >= place_names.RENAMED[ccode] else former


@dataclass(frozen=True)
class Spell:
    """One membership spell with its labels."""

    first: int
    last: int
    lasts_year: bool  # still a member on 31 December of the last year
    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class StateIndex:
    """Codes by each way to name a state, and the spells of a code.

    Attributes
    ----------
    iso, abbrev, named : dict of str to tuple of int
        COW numbers by ISO code and COW abbreviation (case folded), and by name (`place_names.key`).
    spells : dict of int to tuple of Spell
    """

    iso: Mapping[str, tuple[int, ...]]
    abbrev: Mapping[str, tuple[int, ...]]
    named: Mapping[str, tuple[int, ...]]
    spells: Mapping[int, tuple[Spell, ...]]

    @classmethod
    def of(cls, states: pd.DataFrame) -> StateIndex:
        """Index of a table of states: ccode, name, abbrev, iso3, start, end."""
        first, last = span_years(states)
        spells: dict[int, list[Spell]] = {}
        ways: list[dict[str, dict[int, None]]] = [{}, {}, {}]
        rows: list[Any] = list(states.itertuples(index=False))
        for i, row in enumerate(rows):
            code, iso3 = int(row.ccode), None if pd.isna(row.iso3) else str(row.iso3)
            name, abbrev = str(row.name), str(row.abbrev)
            is_open = int(last[i]) == OPEN_YEAR
            spell = Spell(
                first=int(first[i]),
                last=int(last[i]),
                lasts_year=is_open or (row.end.month, row.end.day) == (12, 31),
                text=f"{row.start.date()} to {'now' if is_open else row.end.date()}",
                # Where there is no ISO code, the COW abbreviation stands in.
                labels={"name": name, "abbrev": abbrev, "iso3": iso3 or abbrev},
            )
            spells.setdefault(code, []).append(spell)
            # "Russia/Soviet Union" answers to the whole and to each part.
            named = [key(part) for part in (name, *name.split("/"))]
            texts = ([iso3.casefold()] if iso3 else [], [abbrev.casefold()], named)
            for way, each in zip(ways, texts, strict=True):
                for text in each:
                    way.setdefault(text, {})[code] = None
        ours = [*place_names.ALIASES.items(), *place_names.SHARED.items()]
        ours += [(name, (code,)) for name, (code, _) in place_names.ENDED.items()]
        for alias, codes in ours:
            if known := [c for c in codes if c in spells]:
                ways[2][key(alias)] = dict.fromkeys(known)
        iso, abbrevs, names = ({text: tuple(c) for text, c in way.items()} for way in ways)
        return cls(iso, abbrevs, names, {code: tuple(own) for code, own in spells.items()})

    def resolve(
        self, names: Sequence[object], year: int, *, note: bool = True, system: str | None = None
    ) -> list[int]:
        """COW numbers of names and codes that were given together, in a year.

        Three letters given together are of one system: ISO 3166 if it has them all, COW's if only
        that has; otherwise each is read as ISO 3166 if it has a member of that code. Where nothing
        tells the systems apart a warning says how letters were read (`note`). `system` is known
        where the names are some of those that `letters` has seen.
        """
        found, told = (system, True) if system else self.letters(names)
        return [self._one(each, year, found, note=note and not told) for each in names]

    def knows(self, text: str) -> bool:
        """Whether a text is a code or name of some state, with what ISO 3166 has of codes."""
        code = text.strip().casefold()
        if code in self.iso or code in self.abbrev or key(text) in self.named:
            return True
        found = place_names.readings(text) if len(code) <= 3 else ()
        return any(c.casefold() in self.iso for reading in found for c in reading.codes)

    def letters(self, names: Iterable[object]) -> tuple[str, bool]:
        """Which system the letters of three among some names are of, and whether they tell it."""
        found = {n.strip().casefold() for n in names if isinstance(n, str)}
        found = {t for t in found if t in self.iso or t in self.abbrev}
        iso, cow = found <= self.iso.keys(), found <= self.abbrev.keys()
        return ("cow" if cow and not iso else "iso"), iso != cow

    def colliding(self, text: str, year: int) -> tuple[int, int] | None:
        """Members that ISO 3166 and COW abbreviate in one way; None if they agree."""
        code = text.strip().casefold()
        sides = [self.present(way.get(code, ()), year) for way in (self.iso, self.abbrev)]
        if not all(sides) or sides[0] == sides[1]:
            return None
        return sides[0][0], sides[1][0]

    def _one(self, given: object, year: int, system: str, *, note: bool) -> int:
        if isinstance(given, np.integer):
            given = int(given)
        if isinstance(given, bool) or not isinstance(given, (str, int)):
            raise ArgumentError(
                "A state is given by its name or code (str or int), found "
                f"{shown(given)} of type {type(given).__name__}."
            )
        found: list[tuple[int, ...]] = []
        candidates = self._candidates(given, year, system)
        for codes in candidates:
            present = self.present(codes, year)
            whole = [c for c in present if len(codes) == 1 or c not in place_names.HALVES]
            if len(present) == 1 and whole:
                if note and isinstance(given, str):
                    self._note(given, year, present[0])
                return present[0]
            if present:
                alone = "of those it has stood for there is only " if len(present) == 1 else ""
                raise ArgumentError(
                    f"{given!r} is ambiguous in {year}: {alone}{self._or(present, year)}. Say"
                    " which: by code, number or full name."
                )
            found.append(codes)
        raise self._none(given, year, list(dict.fromkeys(c for codes in found for c in codes)))

    def _candidates(self, given: str | int, year: int, system: str) -> Iterable[tuple[int, ...]]:
        """Codes that could be meant, one way after the other."""
        if isinstance(given, int) or given.strip().isdecimal():
            # Python reads no number of over 4,300 digits, and no code has ten.
            code = int(given) if isinstance(given, int) or len(given.strip()) < 10 else -1
            return [(code,)] if code in self.spells else []
        text = given.strip().casefold().replace(".", "")
        prefix, colon, rest = text.partition(":")
        if colon and prefix in _SYSTEMS:
            return self._prefixed(prefix, rest.strip(), year)
        ways = [self.iso, self.abbrev] if system == "iso" else [self.abbrev, self.iso]
        found = [way[text] for way in ways if text in way]
        if key(text) in self.named:
            self._refuse_ended(given, year)
            found.append(self.named[key(text)])
        # ISO 3166 is opened for what nothing here gives.
        return found or self._of_iso(given, year) or self._otherwise(given, year, system)

    def _otherwise(self, given: str, year: int, system: str) -> list[tuple[int, ...]]:
        """Codes by other ways to say a name, if those that say anything say the same."""
        others = [o for o in place_names.said_otherwise(given) if key(o) != key(given)]
        if not others or any(self._lies(other, year) for other in others[1:]):
            return []
        each = [list(self._candidates(other, year, system)) for other in others]
        said = [codes for codes in each if codes]
        same = set.intersection(
            *({c for codes in one for c in codes} for one in said), {*self.spells}
        )
        return said[0] if said and each[0] and same else []

    def _prefixed(self, prefix: str, rest: str, year: int) -> list[tuple[int, ...]]:
        if prefix == "iso":
            return [self.iso[rest]] if rest in self.iso else self._of_iso(rest, year)
        if rest.isdecimal() and len(rest) < 10:
            code = int(to_cow_codes(int(rest), year)) if prefix == "gw" else int(rest)
            return [(code,)] if code in self.spells else []
        if prefix == "cow":
            return [self.abbrev[rest]] if rest in self.abbrev else []
        ours = {k.casefold(): v for k, v in place_names.ALIASES.items()}
        # Their letters are COW's but for a few, of which Yemen's is that of ISO 3166.
        return [way[rest] for way in (self.abbrev, ours, self.iso) if rest in way]

    def _of_iso(self, given: str, year: int) -> list[tuple[int, ...]]:
        """Codes by what ISO 3166 has under a name or code."""
        codes: list[int] = []
        for reading in place_names.readings(given):
            three = next((c.casefold() for c in reading.codes if c.casefold() in self.iso), None)
            own = self.iso[three] if three else ()
            if reading.codes[0] in place_names.ENDED:
                self._refuse_ended(reading.codes[0], year)
                own = self.named.get(key(reading.codes[0]), ())
            if reading.plain and own:  # a foreign "Germany" is asked back as ours is
                names = {key(s.labels["name"]) for c in own for s in self.spells[c]}
                shared = [k for k in place_names.SHARED if key(k) in names]
                own = self.named[key(shared[0])] if shared else own
            codes += own
        return [tuple(dict.fromkeys(codes))] if codes else []

    def present(self, codes: Sequence[int], year: int) -> list[int]:
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

    def nearest_spell(self, code: int, year: int) -> Spell:
        """The spell that holds in the year, or else the one closest to it."""
        return min(self.spells[code], key=lambda s: max(s.first - year, year - s.last, 0))

    def call(self, code: int, year: int) -> str:
        """A state as a question or note names it: name of the year, letters, number."""
        labels = self.nearest_spell(code, year).labels
        return f"{name_in_year(code, labels['name'], year)} ({labels['iso3']}, {code})"

    def _or(self, codes: Sequence[int], year: int) -> str:
        each = [self.call(c, year) for c in codes]
        return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} or {each[-1]}"

    def _note(self, given: str, year: int, code: int) -> None:
        if (both := self.colliding(given, year)) is not None:
            other = both[0] if code == both[1] else both[1]
            other_system = "cow" if code == both[0] else "iso"
            warnings.warn(
                f"{given!r} is read as {self.call(code, year)}; as a code of the other system it"
                f" is {self.call(other, year)}: '{other_system}:{given.strip()}'.",
                AmbiguousCodeWarning,
                stacklevel=2,
            )

    def _refuse_ended(self, given: str, year: int) -> None:
        code, last = place_names.ended(given) or (0, year)
        if year <= last or code not in self.spells or not self.present([code], year):
            return
        others = [c for c in place_names.PARTS[code] if c in self.spells]
        others = [c for c in others if self.present([c], year)]
        raise ArgumentError(
            f"{given!r} ended in {last}: in {year} it is ambiguous. COW continues it as"
            f" {self.call(code, year)}; others that came of it are {self._or(others, year)}."
            " Say which."
        )

    def _none(self, given: str | int, year: int, codes: list[int]) -> ArgumentError | KeyError:
        """The error for what gives no member of the year."""
        if codes:
            spells = "; ".join(f"{c}: {', '.join(s.text for s in self.spells[c])}" for c in codes)
            return NotAMemberError(
                f"State {shown(given)} was not a member of the state system in {year}. "
                f"Its membership, by COW number, is {spells}.{self._stood(given, codes, year)}"
            )
        if isinstance(given, int) or given.strip().isdecimal():
            # The number nearest in spelling to a wrong number would only mislead.
            return UnknownNameError("state", given, (), self._gw_hint(given, year) or _HOW)
        if lies := self._lies(given, year):
            return NotAMemberError(
                f"{shown(given)} is no member of the state system in our data: {lies}"
            )
        part = place_names.part_of(given)
        host = self.present(self.iso.get(part[1].casefold(), ()), year) if part else ()
        if part and host:
            return UnknownNameError(
                "state", given, (),
                f"It is a part ({part[0]} in ISO 3166-2) of {self._or(host, year)}: give that"
                " state if it is meant.",
            )  # fmt: skip
        near = self.near(given)
        if len(near) > 1:
            names = f"{', '.join(map(repr, near[:-1]))} or {near[-1]!r}"
            return UnknownNameError("state", given, (), f"Did you mean {names}? {_HOW}")
        return UnknownNameError("state", given, near, _HOW)

    def _stood(self, given: str | int, codes: list[int], year: int) -> str:
        """Who stood for a state before it entered, or came of it after it left."""
        for whole, parts in place_names.PARTS.items():
            if whole in self.spells and set(codes) & set(parts) and self.present([whole], year):
                return f" Before it entered it was part of {self.call(whole, year)}."
            if whole in codes and (
                now := self.present([p for p in parts if p in self.spells], year)
            ):
                return f" Of its parts there are {self._or(now, year)}."
        return f" {hint}" if (hint := self._gw_hint(given, year)) else ""

    def _gw_hint(self, given: str | int, year: int) -> str:
        """What a number is in the system of Gleditsch and Ward, where that is another state."""
        text = str(given).strip()
        code = (
            int(to_cow_codes(int(text), year)) if text.isdecimal() and len(text) < 10 else NO_STATE
        )
        if code in self.spells and code != int(text) and self.present([code], year):
            return f"As a Gleditsch–Ward number it is {self.call(code, year)}: 'gw:{text}'."
        return ""

    def _lies(self, given: str, year: int) -> str:
        """Where a place that is no member lies, and who stands for it; empty if it is none."""
        found = place_names.readings(given.partition(":")[2] or given)
        if any(c.casefold() in self.iso for reading in found for c in reading.codes):
            return ""
        hosts, names = [], []
        for reading in found:
            names.append(reading.name)
            of = place_names.territory_of(reading.codes[0])
            hosts += self.present(self.iso.get((of or "").casefold(), ()), year)
        for name, code in place_names.LIES_IN.items():
            if key(name) == key(given):
                names.append(name)
                hosts += self.present([c for c in (code,) if c in self.spells], year)
        names += [name for name in place_names.NO_STATES if key(name) == key(given)]
        if not names:
            return ""
        if not hosts:
            return f"{' or '.join(names)} is not in it, and no member stands for it."
        return (
            f"{' or '.join(names)} counts with {self._or(list(dict.fromkeys(hosts)), year)}; give"
            " that state if it is meant."
        )

    def near(self, given: str) -> list[str]:
        """Names of which one is a misspelling, as they are written; none for letters.

        Names of places that are no members are among those searched, so that no member's name is
        taken for one of them by chance.
        """
        from rapidfuzz import fuzz, process

        text = key(given)
        if len(text) < 4:
            return []
        scored = process.extract(
            text, self._written, scorer=fuzz.ratio, score_cutoff=_NEAR, limit=8
        )
        best = max((score for _, score, _ in scored), default=0.0)
        kept = [name for _, score, name in scored if score >= best - _AS_NEAR]
        return list(dict.fromkeys(kept))[:3]

    @cached_property
    def _written(self) -> dict[str, str]:
        """Every name as it is written, and by itself as it is compared."""
        names = [s.labels["name"] for own in self.spells.values() for s in own]
        names = [part for name in names for part in name.split("/")]
        more = (*place_names.ALIASES, *place_names.SHARED, *place_names.ENDED,
                *place_names.LIES_IN, *place_names.NO_STATES,
                *place_names.english_names())  # fmt: skip
        wanted = dict.fromkeys((*names, *more))
        first = {key(n): n for n in reversed(list(wanted)) if len(key(n)) > 3}
        return {name: text for text, name in first.items()}
