"""Whether a dispute of two states would be settled, with a treaty between them and without it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.cases.before import fit_before, sides_words
from forecast.cases.change import about_fit, change_of, known_as
from forecast.draws import named_estimates
from forecast.errors import CoverageError
from forecast.inference.predict import predict
from forecast.modeling.spec import load_model
from forecast.panel.world import build_world
from forecast.simulation.apply import apply_scenario
from forecast.simulation.future import freeze_conflicts

if TYPE_CHECKING:
    from forecast.cases.questions import Question
    from forecast.cases.records import Case
    from forecast.inference.fit import Fit
    from forecast.sources.tables import Tables

__all__ = ["settlement_rows"]

#: Months of a dispute that are told.
_MONTHS = 6


def settlement_rows(
    case: Case, question: Question, tables: Tables, draws: int, seed: int, level: float
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Hazards of settlement in the months of a dispute that begins once the change can act.

    From `resolution`, fitted to the disputes that were known before the question; the rest of the
    world, past conflicts too, stays as it was then.
    """
    spec = load_model("resolution")
    fit = fit_before(case, question, tables, spec, draws=draws, seed=seed)
    known = fit.panel.tables
    assert known is not None
    edits = change_of(case, question, known)
    span = {"first_year": question.first_year, "last_year": question.last_year}
    after = known if edits is None else apply_scenario(known, edits, **span)
    after = _as_signed(case, question, after, tables)
    worlds = {"with": after, "without": known}
    if question.undo:
        worlds = {"with": known, "without": after}
    year = (edits.first_year if edits else None) or question.first_year
    rows: list[dict[str, Any]] = []
    for sides, label in question.asked:
        pair = sorted(case.ccodes[state] for side in sides for state in side)
        hazard = {
            name: _hazards(fit, each, pair, question.first_year - 1, year)
            for name, each in worlds.items()
        }
        hazard["difference"] = hazard["with"] - hazard["without"]
        before, since = _on_record(tables, pair, question)
        for month in range(_MONTHS):
            row: dict[str, Any] = {
                "question": question.name,
                "who": label or sides_words(case, sides, question.first_year),
            }
            row["month"] = month + 1
            for name, values in hazard.items():
                ends = (name, f"{name}_lower", f"{name}_upper")
                row |= named_estimates(values[:, month], level, ends)
            rows.append(row | {"before": before, "after": since})
    return pd.DataFrame(rows), about_fit(case, question, tables, fit, edits)


def _as_signed(case: Case, question: Question, after: Tables, tables: Tables) -> Tables:
    """Treaties that the change makes, with what theirs say besides who owes what to whom.

    An edit has none of it; a promise to settle disputes peacefully is a term of the model.
    """
    alliances = after.alliances.copy()
    for fact in case.events:
        if fact.changes(question) and fact.event == "forms":
            row = alliances["alliance_id"] == f"scenario-{fact.pact}"
            known = known_as(case, fact, tables)
            signed = tables.alliances[tables.alliances["alliance_id"] == known]
            for name in signed.select_dtypes("number").columns:
                alliances.loc[row, name] = signed[name].iloc[0]
    return after.with_tables(fingerprint=f"{after.fingerprint}|signed", alliances=alliances)


def _hazards(fit: Fit, tables: Tables, pair: list[int], origin: int, year: int) -> Any:
    """Draws of the hazard in each month of a dispute of the two that begins in a year; (D, months).

    Alliances are those of the tables; conflicts those known at the end of `origin`.
    """
    world = build_world(tables, last_year=year, carry_forward=True, succession=fit.spec.succession)
    world = freeze_conflicts(world, year - 1 - origin)
    months = np.arange(_MONTHS)
    data = xr.Dataset(
        {"months_elapsed": ("row", months.astype(float)), "joined": ("row", np.zeros(_MONTHS))},
        coords={
            "year": ("row", np.full(_MONTHS, year)),
            "ccode_a": ("row", np.full(_MONTHS, pair[0])),
            "ccode_b": ("row", np.full(_MONTHS, pair[1])),
        },
    )
    panel = replace(fit.panel, data=data, world=world, tables=tables)
    found = predict(fit, panel).to_numpy()
    if found.shape[1] < _MONTHS:
        raise CoverageError(
            f"{fit.spec.name}: a feature of the two in {year - 1} is not known to the"
            f" {tables.name} data."
        )
    return found


def _on_record(tables: Tables, pair: list[int], question: Question) -> tuple[str, str]:
    """How the disputes of the two ended that began before the question, and in its years."""
    table = tables.conflicts
    ours = table[(table["ccode_a"] == pair[0]) & (table["ccode_b"] == pair[1])]
    year = ours["start"].dt.year
    last = min(question.last_year, tables.coverage["conflicts"].last)
    parts = (ours[year < question.first_year], ours[year.between(question.first_year, last)])
    return _counted(parts[0]), _counted(parts[1])


def _counted(table: pd.DataFrame) -> str:
    counts = table["settlement"].fillna("not known").astype(str).value_counts()
    told = ", ".join(f"{n} {str(name).replace('_', ' ')}" for name, n in counts.items())
    return f"{len(table)} ({told})" if told else "none"
