"""`hindcast`: what a model fitted to the years before a case says of it, and what happened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.cases import case as named
from forecast.cases.before import fit_before, sides_of, sides_words
from forecast.cases.change import about_fit, change_of
from forecast.cases.happened import Happened
from forecast.cases.hindcast_answer import Hindcast
from forecast.cases.records import Case
from forecast.cases.settlement import settlement_rows
from forecast.cases.year_by_year import yearly_rows
from forecast.draws import check_level, check_seed, named_estimates
from forecast.errors import CoverageError, MissingFileError, UnknownNameError
from forecast.modeling.spec import ModelSpec, default_model, load_model
from forecast.risk.ladder import ladder_draws
from forecast.risk.outlook import Outlook
from forecast.risk.sets import pairs_between, worlds_of
from forecast.simulation.levels import LEVELS
from forecast.simulation.paired import changed_world, status_quo
from forecast.sources.datasets import read_tables
from forecast.sources.tables import Tables
from forecast.text import listed

if TYPE_CHECKING:
    from forecast.cases.questions import Question
    from forecast.evaluation.backtest import Backtest
    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.inference.fit import Fit
    from forecast.panel.types import Population

__all__ = ["hindcast"]

Draws = npt.NDArray[np.floating[Any]]
Pair = tuple[int, int]
_GET = (
    "`forecast data get` fetches the official files, `forecast data get KEY --from FOLDER` takes"
    " those that you have."
)


def hindcast(
    case: Case | str,
    ask: str | Iterable[str] | None = None,
    *,
    data: str | Path | Tables | None = None,
    model: ModelSpec | str | Path | None = None,
    population: Population = "politically_relevant",
    draws: int = 500,
    seed: int = 20251231,
    level: float = 0.9,
    evidence: Backtest | CalibrationRecord | None = None,
) -> Hindcast:
    """What a model fitted to the years before a case only says of it, beside what happened.

    Each question of the case (`Case.questions`) has a fit of its own, to a data set that is cut as
    if it had been released before the first year that is forecast: no later table, feature, treaty
    or conflict is seen. From there the years ahead are simulated with the change of the case as it
    came (its dated facts as edits of the alliances) and without it, with the same random numbers.

    Parameters
    ----------
    case : Case or str
        The case, or its name: `forecast.cases` lists them.
    ask : str or iterable of str, optional
        Names of the questions, such as ``"1960"``; all by default.
    data : str, pathlib.Path or Tables, optional
        Data set, as in `forecast.load_panel`, instead of the one that each question names: the
        embedded one, or for what lies before or soon after 1946 ``"historical"`` (official files:
        `forecast data get`).
    model : ModelSpec, str or pathlib.Path, optional
        Dyad-year model of onsets; by default that of the data, as in `forecast.fit`.
    population : str
        Pairs on which it is fitted; ``"all"`` takes minutes a question. Where a case asks about
        any other state it is one of these pairs; a pair that is named and is none of them is
        answered with the rate that is observed.
    draws, seed, level : int, int, float
        Posterior draws, what everything random descends from, probability of the intervals.
    evidence : Backtest or CalibrationRecord, optional
        Record of this model on this data out of sample, quoted beside each probability.

    Returns
    -------
    Hindcast

    Raises
    ------
    UnknownNameError
        No such case or question; the nearest name is suggested.
    CoverageError
        The data begin too late for the case or end before it: which do not, and how to get them.
        Where no question is named, those whose files are not there are left out, and
        `Hindcast.unanswered` says so, as long as one can be answered.
    """
    one = named(case) if isinstance(case, str) else case
    check_level(level)
    check_seed(seed)
    questions = _chosen(one, ask)
    read, unanswered = _read(one, questions, data, needed=ask is not None)
    parts: dict[str, list[pd.DataFrame]] = {"forecasts": [], "record": [], "yearly": [],
                                            "settlement": []}  # fmt: skip
    fits: list[dict[str, Any]] = []
    for question in (one for one in questions if one.name in read):
        tables = read[question.name]
        if question.kind == "settlement":
            found, about = settlement_rows(one, question, tables, draws, seed, level)
            parts["settlement"].append(found)
        elif question.kind == "year by year":
            found, about = yearly_rows(one, question, tables, draws, seed, level)
            parts["yearly"].append(found)
        else:
            spec = load_model(default_model(tables.name) if model is None else model)
            fit = fit_before(
                one, question, tables, spec.with_population(population), draws=draws, seed=seed
            )
            quoted = _quoted(evidence, tables)
            found, own, about = _forecast(one, question, tables, fit, level, quoted)
            parts["forecasts"].append(found)
            parts["record"].append(own)
        fits.append({"question": question.name, "kind": question.kind,
                     "first_year": question.first_year,
                     "last_year": question.last_year, **about})  # fmt: skip
    made = {n: pd.concat(p, ignore_index=True) if p else pd.DataFrame() for n, p in parts.items()}
    return Hindcast(
        case=one.name, title=one.title, level=level, fits=pd.DataFrame(fits), **made,
        unanswered=unanswered,
    )  # fmt: skip


def _quoted(
    evidence: Backtest | CalibrationRecord | None, tables: Tables
) -> CalibrationRecord | None:
    """The record to quote, with the levels of severity of the whole data set."""
    from forecast.evaluation.calibration_record import CalibrationRecord, record_of

    if evidence is None or isinstance(evidence, CalibrationRecord):
        return evidence
    return record_of(evidence, tables=tables)


def _chosen(case: Case, ask: str | Iterable[str] | None) -> list[Question]:
    """The questions that are asked, in the order of the file."""
    known = {question.name: question for question in case.questions}
    if not known:
        raise CoverageError(
            f"Case {case.name!r} has no hindcast: {case.summary.split('.')[0]}. `check_case` holds"
            " the data against it."
        )
    asked = list(known) if ask is None else [ask] if isinstance(ask, str) else list(ask)
    for name in asked:
        if name not in known:
            has = f"It has {listed(known, limit=len(known))}."
            raise UnknownNameError(f"question of {case.name!r}:", str(name), known, has)
    return [question for name, question in known.items() if name in asked]


def _read(
    case: Case, questions: list[Question], data: str | Path | Tables | None, *, needed: bool
) -> tuple[dict[str, Tables], dict[str, str]]:
    """Data sets of the questions as published; and what others lack, unless they are `needed`."""
    read: dict[str, Tables] = {}
    lacking: dict[str, str] = {}
    of: list[tuple[str | Path | Tables, list[str]]] = [
        (kind, [one.name for one in questions if one.data == kind])
        for kind in dict.fromkeys(one.data for one in questions)
    ]
    for given, names in of if data is None else [(data, [one.name for one in questions])]:
        try:
            read |= dict.fromkeys(names, read_tables(given, amend=None))
        except MissingFileError as error:
            if needed or len(names) == len(questions):
                others = [repr(one.name) for one in case.questions if one.data == "embedded"]
                asked = f" The embedded data answer ask={' and '.join(others)}." if others else ""
                where = f"Case {case.name!r}, {names[0]}"
                raise CoverageError(
                    f"{where}: needs the {given} data ({error}). {_GET}{asked}"
                ) from error
            what = str(error).splitlines()[0].rstrip(".")
            lacking |= dict.fromkeys(names, f"needs the {given} data ({what}). {_GET}")
    return read, lacking


def _forecast(
    case: Case,
    question: Question,
    tables: Tables,
    fit: Fit,
    level: float,
    quoted: CalibrationRecord | None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Rows of `Hindcast.forecasts` and `Hindcast.record`, and what was fitted."""
    assert fit.panel.tables is not None
    horizon, span = question.horizon, (question.first_year, question.last_year)
    now = status_quo(fit, horizon=horizon, draws=None, seed=fit.seed)
    edits = change_of(case, question, fit.panel.tables)
    then = now if edits is None else changed_world(fit, edits, now)
    # What is on record before the first year is the change as it came, if it lies there.
    worlds = {"with": now if question.undo else then, "without": then if question.undo else now}
    views = {
        name: Outlook(fit, horizon=horizon, draws=None, seed=fit.seed, now=world)
        for name, world in worlds.items()
        if name == "with" or edits is not None
    }
    came, happened = views["with"], Happened(tables, *span)
    rows: list[dict[str, Any]] = []
    for sides, label in question.asked:
        pairs = pairs_between(came, *sides_of(case, sides))
        if not sides[1]:
            # Of the hundreds of pairs of all other states the model says nothing apart.
            pairs = [pair for pair in pairs if pair in came.position] or pairs
        draws = {name: _ladder(view, pairs, horizon, level) for name, view in views.items()}
        outcome, events = happened.pairs(pairs), happened.events(pairs)
        alone = came.position.get(pairs[0]) if len(pairs) == 1 else None
        for number, severity in enumerate(LEVELS):
            if severity in came.severity.unrecorded:
                continue
            row: dict[str, Any] = {
                "question": question.name, "first_year": span[0], "last_year": span[1],
                "who": label or sides_words(case, sides, span[0]), "pairs": len(pairs),
                "observed_rate": sum(pair not in came.position for pair in pairs),
                "severity": severity,
            }  # fmt: skip
            each = {name: values[number] for name, values in draws.items()}
            if "without" in each:
                each["difference"] = each["with"] - each["without"]
            for name in ("with", "without", "difference"):
                ends = (name, f"{name}_lower", f"{name}_upper")
                if name in each:
                    row |= named_estimates(each[name], level, ends)
                else:
                    row |= dict.fromkeys(ends, np.nan)
            row["base_rate"] = np.nan
            row["record"] = ""
            if alone is not None:
                stratum = str(came.stratum[alone])
                row["base_rate"] = came.base_of(horizon, stratum, severity)[0]  # type: ignore[arg-type]
            if quoted is not None:
                told = quoted.quote_level(severity, "relevant")
                if severity == "onset" and alone is not None:
                    first = came.first_probability(alone)
                    told = quoted.quote(came.record_stratum(alone), first)
                row["record"] = told["text"]
            rows.append(row | {"happened": outcome[severity], "events": events})
    table = pd.DataFrame(rows)
    table["happened"] = table["happened"].map({1.0: True, 0.0: False}).astype("boolean")
    about = about_fit(case, question, tables, fit, edits)
    return table, _own_record(question, came, happened, level), about


def _ladder(outlook: Outlook, pairs: list[Pair], horizon: int, level: float) -> list[Draws]:
    """Draws of the probability of each level, that any of the pairs has such an onset; 4 × (D,)."""
    if len(pairs) > 1:
        return [
            worlds_of(outlook, pairs, horizon, level, severity)[0]  # type: ignore[arg-type]
            for severity in LEVELS
        ]
    row = outlook.position.get(pairs[0])
    stratum = outlook.stratum_without_row(pairs[0]) if row is None else str(outlook.stratum[row])
    return list(ladder_draws(outlook, pairs[0], stratum, horizon))


def _own_record(
    question: Question, outlook: Outlook, happened: Happened, level: float
) -> pd.DataFrame:
    """Pairs of the population with an onset in these years: forecast of the fit, and observed."""
    rows = np.arange(len(outlook.codes))
    observed = happened.counts(outlook.everyone()).to_dict("index")
    whole = happened.until >= happened.last
    found = []
    tails = [(1 - level) / 2, (1 + level) / 2]
    for severity in LEVELS:
        if severity in outlook.severity.unrecorded:
            continue
        _, onsets = outlook.hazards(rows, question.horizon, severity)  # type: ignore[arg-type]
        number = onsets.any(axis=0).sum(axis=0)
        lower, upper = np.quantile(number, tails, method="inverted_cdf")
        seen = observed[severity]
        found.append(
            {
                "question": question.name, "severity": severity, "pairs": rows.size,
                "expected": float(number.mean()), "lower": int(lower), "upper": int(upper),
                "observed": int(seen["observed"]) if whole else pd.NA,
                "unknown": int(seen["unknown"]),
            }
        )  # fmt: skip
    return pd.DataFrame(found).astype({"observed": "Int64"})
