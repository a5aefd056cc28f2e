"""The change of a hindcast as a scenario: the dated facts of a case as edits of the alliances."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.errors import CoverageError, UnknownNameError
from forecast.simulation.scenario import Scenario
from forecast.sources.codes import find_alliance

if TYPE_CHECKING:
    from forecast.cases.questions import Question
    from forecast.cases.records import Case, Fact
    from forecast.inference.fit import Fit
    from forecast.sources.tables import Tables

__all__ = ["about_fit", "change_of", "change_words", "known_as"]

#: Days by which a source may date the beginning of a treaty otherwise than the fact.
_DAYS = 400
#: Facts of a change that are told one by one.
_TOLD = 3


def change_of(case: Case, question: Question, tables: Tables) -> Scenario | None:
    """The facts that a question is about as edits of `tables`; None if it changes nothing.

    What happened in the years ahead; or, with ``undo``, what happened before them taken back on
    1 January of the first year.
    """
    if not (facts := _facts(case, question)):
        return None
    made = Scenario(f"{case.name} {question.name}")
    formed: dict[str, Fact] = {}
    for fact in facts:
        states = [case.ccodes[state] for state in fact.states]
        pact, day = str(fact.pact), fact.date.isoformat()
        if question.undo:
            made = _taken_back(made, case, fact, tables, f"{question.first_year}-01-01")
        elif fact.event == "forms" and pact not in formed:
            # The day of a treaty: who signs then, each with what it owes.
            same = [f for f in facts if (f.pact, f.event, f.date) == (pact, "forms", fact.date)]
            everyone = [case.ccodes[state] for f in same for state in f.states]
            made = made.form(pact, everyone, day, obligations=fact.obligations)
            for other in same[1:]:
                ours = [case.ccodes[state] for state in other.states]
                made = made.amend(pact, day, obligations=other.obligations, states=ours)
            formed[pact] = fact
        elif fact.event == "forms" and fact.date == formed[pact].date:
            continue
        elif fact.event in ("forms", "accedes"):
            known = pact if pact in formed else known_as(case, fact, tables)
            made = made.join(known, states, day, obligations=fact.obligations)
        else:
            # The fact has the last day of a pact, an edit the first without it.
            after = (fact.date + timedelta(days=1)).isoformat()
            known = pact if pact in formed else known_as(case, fact, tables)
            ends = fact.event == "ends"
            made = made.dissolve(known, after) if ends else made.leave(known, states, after)
    return made


def change_words(case: Case, question: Question) -> str:
    """The facts of the change, as the case tells them."""
    words = list(dict.fromkeys(f"{f.date}: {f.text.rstrip('.')}" for f in _facts(case, question)))
    more = len(words) - _TOLD
    return "; ".join(words[:_TOLD]) + (f"; and {more} more of this kind" if more > 0 else "")


def about_fit(
    case: Case, question: Question, tables: Tables, fit: Fit, edits: Scenario | None
) -> dict[str, Any]:
    """What was changed, and what was fitted to which data: of a row of `Hindcast.fits`."""
    return {
        "change": change_words(case, question) if edits is not None else "",
        "undone": question.undo and edits is not None,
        "edits": "; ".join(edit.sentence() for edit in edits.edits) if edits is not None else "",
        "acts_from": edits.first_year if edits is not None else None,
        "data": tables.name, "model": fit.spec.name, "fit": fit.id,
        "fitted_first": fit.encoding.years[0], "fitted_last": question.first_year - 1,
        "rows": int(fit.posterior["observed_data"].sizes["row"]),
        "population": fit.spec.population,
        "known_to": min(question.last_year, tables.coverage["conflicts"].last),
        "passed": fit.gate().passed,
    }  # fmt: skip


def _facts(case: Case, question: Question) -> list[Fact]:
    """The facts that are the change, in the order of their days."""
    return sorted((f for f in case.events if f.changes(question)), key=lambda f: f.date)


def _taken_back(made: Scenario, case: Case, fact: Fact, tables: Tables, when: str) -> Scenario:
    known = known_as(case, fact, tables)
    if fact.event == "accedes":
        return made.leave(known, [case.ccodes[state] for state in fact.states], when)
    if any(e.action == "dissolve" and e.alliance == known for e in made.edits):
        return made
    return made.dissolve(known, when)


def known_as(case: Case, fact: Fact, tables: Tables) -> str:
    """Identifier in the data of the pact of a fact: of its name, or of its members and day."""
    try:
        return str(find_alliance(tables.alliances, str(fact.pact))["alliance_id"])
    except UnknownNameError:
        pass
    founding = [f for f in case.events if f.pact == fact.pact and f.event == "forms"]
    states = {case.ccodes[state] for f in founding or [fact] for state in f.states}
    day = pd.Timestamp(min(f.date for f in founding or [fact]))
    members = tables.members.groupby("alliance_id")["ccode"].agg(set)
    ids = [str(name) for name, codes in members.items() if states <= codes]
    begun = tables.alliances.set_index("alliance_id")["start"]
    away = {name: abs((begun[name] - day).days) for name in ids}
    near = min(away, key=lambda name: (away[name], len(members[name])), default=None)
    if near is None or away[near] > _DAYS:
        raise CoverageError(
            f"Case {case.name!r}: the {tables.name} data have no treaty of"
            f" {', '.join(sorted(fact.states))} near {day.date()} ({fact.pact})."
        )
    return near
