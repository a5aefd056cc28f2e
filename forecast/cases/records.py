"""Named cases: facts with dates, expectations worked out by hand, and the file that has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cache
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from forecast.cases.questions import Question
from forecast.errors import SpecificationError, UnknownNameError
from forecast.paths import data_folder

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from forecast.panel.types import Panel
    from forecast.sources.tables import Tables

__all__ = ["FEATURES", "Case", "Expectation", "Fact", "Requested", "read_cases"]


#: Names of features, or names with their options.
Requested = Sequence[str] | Mapping[str, Mapping[str, Any]]

Event = Literal[
    "forms",
    "accedes",
    "succeeds",
    "leaves",
    "ends",
    "protocol",
    "enters",
    "exits",
    "attacks",
    "context",
]

#: What `Case.features` shows by default: expansion (year on year, so that an event stands in its
#: own year), dependency and commitment balance.
FEATURES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "own_expansion": {"window": 1},
        "own_expansion_capability": {"window": 1},
        "own_contraction": {"window": 1},
        "external_share": {},
        "patron_share": {},
        "commitment_balance": {},
    }
)
#: Events that change who is bound to whom.
_CHANGES = ("forms", "accedes", "leaves", "ends")
# Pydantic checks the classes when the file is read; an unknown key is an error.
_STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class Fact:
    """Something that happened, with its day.

    Attributes
    ----------
    date : datetime.date
        Day; for ``leaves``, ``ends`` and ``exits`` the last one.
    event : str
        ``forms``, ``accedes``, ``succeeds``, ``leaves``, ``ends`` (of a pact); ``protocol`` (of
        accession, signed); ``enters``, ``exits`` (the state system); ``attacks``; ``context``.
    states : tuple of str
        COW abbreviations.
    text : str
        What happened.
    pact : str, optional
        ``alliance_id`` of the embedded data set; before 1946, which it does not cover, a name.
    obligations : tuple of str
        Classes of `forecast.sources.tables.OBLIGATIONS` that each of `states` owes from that day.
    against : str, optional
        Abbreviation of the state that is attacked.
    """

    __pydantic_config__ = _STRICT

    date: date
    event: Event
    states: tuple[str, ...]
    text: str
    pact: str | None = None
    obligations: tuple[str, ...] = ()
    against: str | None = None

    def changes(self, question: Question) -> bool:
        """Whether the fact is (part of) the change that a question is about."""
        if self.pact not in question.change or self.event not in _CHANGES:
            return False
        if question.undo:
            return self.date.year < question.first_year and self.event in ("forms", "accedes")
        return question.first_year <= self.date.year <= question.last_year


@dataclass(frozen=True)
class Expectation:
    """What a feature must be, worked out by hand.

    Attributes
    ----------
    feature : str
        Name of a registered feature.
    state, other : str
        COW abbreviations; `other` for features of pairs.
    year : int
        Calendar year of the state of affairs (unlagged).
    why : str
        The derivation.
    options : mapping
        Options of the feature.
    since : int, optional
        The value is the change from this year to `year`.
    equals, above, below : float, optional
        The value is equal to (to 1e-6), above or below; or
    missing : bool
        not defined.
    data : tuple of str
        Names of the data sets that can tell, where others date or code the facts otherwise; empty:
        all.
    """

    __pydantic_config__ = _STRICT

    feature: str
    state: str
    year: int
    why: str
    other: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    since: int | None = None
    equals: float | None = None
    above: float | None = None
    below: float | None = None
    missing: bool = False
    data: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """The condition in words, e.g. ``"= 11"``."""
        if self.missing:
            return "missing"
        for sign, bound in (("=", self.equals), (">", self.above), ("<", self.below)):
            if bound is not None:
                return f"{sign} {bound:g}"
        return "anything"

    def met_by(self, value: float) -> bool:
        """Whether a value (NaN: not defined) is as expected."""
        if value != value:
            return self.missing
        if self.equals is not None:
            return abs(value - self.equals) <= 1e-6
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below


@dataclass(frozen=True)
class Case:
    """One named case.

    Attributes
    ----------
    name, title : str
        Short name, e.g. ``"nato-1949"``, and heading.
    years : tuple of int
        First and last calendar year in which it is looked at.
    data : tuple of str
        Data sets that cover it: ``"embedded"``, ``"historical"``.
    states : tuple of str
        COW abbreviations of the states whose features are shown.
    summary : str
        What there is to see.
    sources : tuple of str
        Citations of the public sources of the facts.
    events : tuple of Fact
    expectations : tuple of Expectation
    questions : tuple of Question
        What `forecast.hindcast` asks.
    ccodes, names : mapping of str
        COW number and name of every state that the case mentions, by abbreviation.
    """

    __pydantic_config__ = _STRICT

    name: str
    title: str
    years: tuple[int, int]
    data: tuple[str, ...]
    states: tuple[str, ...]
    summary: str
    sources: tuple[str, ...]
    events: tuple[Fact, ...]
    expectations: tuple[Expectation, ...]
    questions: tuple[Question, ...]
    ccodes: Mapping[str, int]
    names: Mapping[str, str]

    @property
    def facts(self) -> pd.DataFrame:
        """One row per fact in order of time.

        Columns ``date`` (datetime64[s]), ``event``, ``states``, ``against``, ``pact``,
        ``obligations``, ``text``; lists are joined by ", ".
        """
        import pandas as pd

        rows = [
            {
                "date": fact.date,
                "event": fact.event,
                "states": ", ".join(fact.states),
                "against": fact.against or "",
                "pact": fact.pact or "",
                "obligations": ", ".join(fact.obligations),
                "text": fact.text,
            }
            for fact in self.events
        ]
        table = pd.DataFrame(rows).astype({"date": "datetime64[s]"})
        return table.sort_values("date", kind="stable", ignore_index=True)

    def features(
        self, data: str | Path | Tables | Panel | xr.Dataset, *, features: Requested | None = None
    ) -> pd.DataFrame:
        """Features of the states of the case in its years, unlagged.

        Parameters
        ----------
        data : str, pathlib.Path, Tables, Panel or xarray.Dataset
            ``"embedded"``, ``"historical"`` or a folder; tidy tables, from which the world of
            these years is built; or a world, or a panel that has one.
        features : sequence of str, or mapping of str to options, optional
            Names of registered features of any level, with options if given as a mapping; by
            default `FEATURES`.

        Returns
        -------
        pandas.DataFrame
            One row per feature, year and state (for features of pairs: ordered pair of states of
            the case, for those of the system: one), for states that are members of the system:
            ``feature``, ``year``, ``ccode``, ``state``, ``other_ccode``, ``other``, ``value``
            (NaN where not defined or not covered), ``unit``. Years that the data do not cover
            are left out.

        Raises
        ------
        CoverageError
            If the data cover no year of the case; says which data set does.
        UnknownNameError
            If a feature or option is not known.
        """
        from forecast.cases.check import case_features

        return case_features(self, data, features=FEATURES if features is None else features)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON; dates as ISO 8601."""
        content = asdict(self)
        for fact in content["events"]:
            fact["date"] = fact["date"].isoformat()
        return dict(json.loads(json.dumps(content)))


_FILE = "cases.toml"


@cache
def read_cases() -> dict[str, Case]:
    """All cases of the file by name."""
    from forecast.documents import read_toml

    content = read_toml(data_folder() / _FILE, "file")
    states = content["states"]
    found: dict[str, Case] = {}
    for raw in content["case"]:
        where = f"{_FILE}, case {raw.get('name')!r}"
        events = tuple(_checked(Fact, fact, f"{where}, fact") for fact in raw.pop("fact"))
        expectations = tuple(
            _checked(Expectation, one, f"{where}, expectation")
            for rule in raw.pop("expectation")
            for one in _expanded(rule)
        )
        questions = tuple(
            _question(one, events, f"{where}, hindcast") for one in raw.pop("hindcast", ())
        )
        named = dict.fromkeys(raw["states"])
        for question in questions:
            named.update(
                dict.fromkeys(s for sides in question.about for side in sides for s in side)
            )
        for fact in events:
            named.update(dict.fromkeys([*fact.states, *filter(None, [fact.against])]))
        for one in expectations:
            named.update(dict.fromkeys(filter(None, [one.state, one.other])))
        for state in named:
            if state not in states:
                raise UnknownNameError(f"state in {where}:", state, states)
        made = _checked(
            Case,
            {
                **raw,
                "events": events,
                "expectations": expectations,
                "questions": questions,
                "ccodes": {state: states[state]["ccode"] for state in named},
                "names": {state: states[state]["name"] for state in named},
            },
            where,
        )
        if made.name in found:
            raise SpecificationError(f"{where}: there are two cases of this name.")
        found[made.name] = made
    return found


def _question(raw: Mapping[str, Any], events: tuple[Fact, ...], where: str) -> Question:
    """A question; its sides are words of the file: ``"POL HUN"``, ``"*"`` for any other state.

    A third text, if there is one, is what the pair of sides is called.
    """
    about = [[str(part) for part in one] for one in raw.get("about", ())]
    if not about or not all(len(one) in (2, 3) for one in about):
        raise SpecificationError(
            f"{where} {raw.get('name')!r}, key 'about': expected two sides each, and a name for"
            f" them if wanted; found {raw.get('about')!r}."
        )
    sides = [[[w for w in side.split() if w != "*"] for side in one[:2]] for one in about]
    labels = [one[2] if len(one) == 3 else "" for one in about]
    made = _checked(Question, {**raw, "about": sides, "labels": labels}, where)
    for pact in made.change:
        if not any(pact == f.pact and f.changes(made) for f in events):
            raise SpecificationError(
                f"{where} {made.name!r}, key 'change': no fact of {pact!r} forms, accedes, leaves"
                f" or ends {'before' if made.undo else 'in'} {made.span}."
            )
    return made


def _expanded(rule: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One expectation per state and year of a rule of the file."""
    rest = {key: value for key, value in rule.items() if key not in ("states", "years")}
    conditions = [key for key in ("equals", "above", "below", "missing") if key in rest]
    if len(conditions) != 1:
        raise SpecificationError(
            f"{_FILE}, expectation of {rule.get('feature')!r}: found {conditions or 'no condition'}"
            ", expected exactly one of equals, above, below, missing."
        )
    for state, year in product(rule["states"], rule["years"]):
        yield {**rest, "state": state, "year": year}


def _checked[T](kind: type[T], content: Mapping[str, Any], where: str) -> T:
    """`content` as an instance of `kind`, its types checked."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SpecificationError(
            f"{where}, key {key!r}: {first['msg']}; found {first['input']!r}."
        ) from None
