"""Before a case: the fit to what was known then, and the sides that are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecast.errors import CoverageError
from forecast.evaluation.origins import known_before
from forecast.inference.fit import fit as fit_model
from forecast.panel.build import load_panel
from forecast.panel.types import CHOICES
from forecast.sources.codes import name_in_year
from forecast.text import listed

if TYPE_CHECKING:
    from forecast.cases.questions import Question
    from forecast.cases.records import Case
    from forecast.inference.fit import Fit
    from forecast.modeling.spec import ModelSpec
    from forecast.sources.tables import Tables

__all__ = ["LEAST_YEARS", "fit_before", "reaching_back", "sides_of", "sides_words"]

#: Years of rows before a case from which something can be learnt.
LEAST_YEARS = 20
#: From about this year on the Soviet Union and Yugoslavia are called so.
_UNIONS = 1919


def fit_before(
    case: Case, question: Question, tables: Tables, spec: ModelSpec, *, draws: int, seed: int
) -> Fit:
    """Fit of a model to what was known before the first year of a question, and nothing else.

    A `CoverageError` where the data end before it, or begin less than twenty years before it.
    """
    first, covered = question.first_year, tables.coverage["conflicts"]
    where = f"Case {case.name!r}, {question.name}: forecast from {first} on"
    if covered.last < first - 1:
        raise CoverageError(
            f"{where}; the conflicts of {tables.name} are covered to {covered.last}."
        )
    begin = max(cover.first for cover in (covered, tables.coverage["members"])) + 1
    if first - begin < LEAST_YEARS:
        raise CoverageError(
            f"{where}; the {tables.name} data begin in {begin - 1}, and from"
            f" {max(first - begin, 0)} years before a case nothing is learnt that could be told"
            f" ({LEAST_YEARS} are asked for). The historical data, from 1816, cover it: `forecast"
            " data get`, then data='historical'."
        )
    choices = {name: getattr(spec, name) for name in CHOICES}
    panel = load_panel(data=known_before(tables, first), amend=None, **choices)
    return fit_model(reaching_back(spec, begin, first), panel, seed=seed, draws=draws)


def reaching_back(spec: ModelSpec, begin: int, first: int) -> ModelSpec:
    """The model, fitted to earlier years that it leaves out too, where there are no others.

    Those of the shipped models for the historical data begin in 1900.
    """
    kept = sorted(spec.exclusions, key=lambda years: years.first)

    def fitted() -> int:
        out = {y for e in kept for y in range(e.first, e.last + 1)}
        return sum(year not in out for year in range(begin, first))

    while kept and fitted() < LEAST_YEARS:
        kept.pop(0)
    if len(kept) == len(spec.exclusions):
        return spec
    return spec.model_copy(
        update={"exclusions": tuple(kept), "name": f"{spec.name}_with_earlier_years"}
    )


def sides_of(
    case: Case, sides: tuple[tuple[str, ...], tuple[str, ...]]
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """COW numbers of the two sides of a question; no second side is every other state."""
    one, other = (tuple(case.ccodes[state] for state in side) for side in sides)
    return one, other or None


def sides_words(case: Case, sides: tuple[tuple[str, ...], tuple[str, ...]], year: int) -> str:
    """The two sides in words, by the names that the states had in a year."""
    # Russia and Serbia were called so before the unions whose names theirs are beside.
    year = year if year >= _UNIONS else 9999
    one, other = (
        [name_in_year(case.ccodes[state], case.names[state], year) for state in side]
        for side in sides
    )
    if len(one) == len(other) == 1:
        return f"{one[0]}–{other[0]}"
    if set(one) == set(other):
        return f"any two of {listed(one, limit=6)}"
    first = one[0] if len(one) == 1 else f"any of {listed(one, limit=4)}"
    if not other:
        return f"{first} and any other state"
    return f"{first} and {other[0] if len(other) == 1 else f'any of {listed(other, limit=4)}'}"
