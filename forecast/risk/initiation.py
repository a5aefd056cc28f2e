"""Who would begin: directed forecasts under a scenario and under the status quo.

A model of initiation is not simulated. Its forecast is of one year: the first in which every edit
can act, with the alliances of that year and with conflicts as they stood at the end of the record,
each moved by as many years.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.draws import check_draws, check_level, estimates
from forecast.errors import ArgumentError, CoverageError, ForecastError
from forecast.inference.predict import predict
from forecast.panel.build import future_panel
from forecast.panel.events import initiators_coded
from forecast.simulation.apply import apply_scenario
from forecast.simulation.ending import disputes_at
from forecast.simulation.future import freeze_conflicts
from forecast.simulation.paired import CAUTION, origin_of, tables_of
from forecast.simulation.scenario import as_scenario
from forecast.sources.codes import state_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecast.inference.fit import Fit
    from forecast.panel.types import Panel
    from forecast.simulation.scenario import Scenario
    from forecast.sources.tables import Tables

__all__ = ["DIRECTED", "Initiation", "initiation", "initiations"]

#: The model of initiation: of the two it forecasts better, on either data set.
DIRECTED = "directed_initiation_historical"

_UNIT = "directed-dyad-year"
_WORLDS = ("status_quo", "scenario", "difference")


@dataclass(frozen=True, eq=False)
class Initiation:
    """Who would begin, pair by pair and in both directions.

    Attributes
    ----------
    scenario : str
        Name of the scenario.
    edits : tuple of str
        Its edits in words.
    year : int
        Year of the forecast.
    table : pandas.DataFrame
        One row per ordered pair, by the size of the difference: ``ccode_a``, ``ccode_b``,
        ``challenger``, ``target``, ``year``; ``status_quo``, ``scenario`` (probability that the
        challenger begins a dispute with the target in the year) and ``difference`` (paired by
        posterior draw), each with ``…_lower`` and ``…_upper``; ``interval``; ``edited``, whether a
        feature of the ordered pair differs.
    text, caution : str
        What the numbers are, and what they are not.
    """

    scenario: str
    edits: tuple[str, ...]
    year: int
    table: pd.DataFrame
    text: str
    caution: str

    def to_dict(self, *, top: int | None = None) -> dict[str, Any]:
        """Plain dictionary for JSON, of the `top` ordered pairs with the largest differences."""
        rows = self.table if top is None else self.table.head(top)
        return {
            "scenario": self.scenario,
            "edits": list(self.edits),
            "year": self.year,
            "text": self.text,
            "caution": self.caution,
            "changes": rows.to_dict("records"),
        }


def initiation(
    fit: Fit,
    scenario: Scenario,
    *,
    year: int | None = None,
    level: float = 0.9,
    draws: int | None = None,
) -> Initiation:
    """Probability that each state begins a dispute with each other, with and without the edits.

    Parameters
    ----------
    fit : Fit
        Fit of a model of directed pairs, such as ``directed_initiation_historical``.
    scenario : Scenario
        Edits of the alliance graph.
    year : int, optional
        Year of the forecast, 1 to 20 after the record; by default the first in which every edit
        can act.
    level : float
        Probability of the equal-tailed intervals.
    draws : int, optional
        Number of posterior draws; all by default.

    Returns
    -------
    Initiation
        Of the ordered pairs of the population. Those with a dispute under way at the end of the
        record are left out: the model has rows of them only where a further dispute began.

    Raises
    ------
    ArgumentError, UnknownNameError
        A fit of another unit, an edit that cannot be, an argument out of range.
    """
    from forecast.inference.fit import as_fit

    fit = as_fit(fit, "initiation(fit, scenario)")
    tables, origin = _directed_tables(fit), origin_of(fit)
    check_level(level)
    check_draws(draws)
    first = as_scenario(scenario).first_year
    chosen = year if year is not None else first if first is not None else origin + 1
    if not origin < chosen <= origin + 20:
        raise ArgumentError(f"year={chosen}: expected a year in {origin + 1}–{origin + 20}.")
    edited = apply_scenario(tables, scenario, first_year=origin + 1, last_year=origin + 20)
    panels = [_panel(fit, each, origin, chosen) for each in (tables, edited)]
    return Initiation(
        scenario=scenario.name,
        edits=tuple(edit.sentence() for edit in scenario.edits),
        year=chosen,
        table=_directed_table(fit, panels, tables, origin, level, draws),
        text=(
            f"Probability that the challenger begins a dispute with the target in {chosen}, with"
            f" the alliances of {chosen - 1} and conflicts as they stood at the end of {origin}:"
            f" one year's forecast of {fit.spec.name}, without simulated disputes in between. Pairs"
            " with a dispute under way are left out."
        ),
        caution=CAUTION,
    )


def _directed_tables(fit: Fit) -> Tables:
    """Tables of a fit that can say who would begin."""
    spec = fit.spec
    if spec.unit != _UNIT or spec.lag != 1:
        raise ArgumentError(
            f"Model {spec.name!r} is of unit {spec.unit!r} and lag {spec.lag}; who would begin is"
            f" answered by a model of unit {_UNIT!r} and lag 1, such as"
            f" {DIRECTED!r} (`forecast fit {DIRECTED}`)."
        )
    return tables_of(fit)


def _directed_table(
    fit: Fit, panels: list[Panel], tables: Tables, origin: int, level: float, draws: int | None
) -> pd.DataFrame:
    """The table of `Initiation` from the panels of the same year as things stand and as edited."""
    encoded = [fit.encoding.apply(panel) for panel in panels]
    known = np.intersect1d(encoded[0].kept, encoded[1].kept)
    at = [np.searchsorted(rows.kept, known) for rows in encoded]
    data = panels[0].data
    year, a, b = (data[name].to_numpy()[known] for name in ("year", "ccode_a", "ccode_b"))
    now, then = (
        predict(fit, rows, draws=draws).to_numpy().T[places]
        for rows, places in zip(encoded, at, strict=True)
    )
    columns: dict[str, Any] = {
        "ccode_a": a,
        "ccode_b": b,
        "challenger": [state_label(tables, int(code), year=origin) for code in a],
        "target": [state_label(tables, int(code), year=origin) for code in b],
        "year": year,
    }
    for name, values in zip(_WORLDS, (now, then, then - now), strict=True):
        ends = (name, f"{name}_lower", f"{name}_upper")
        columns |= dict(zip(ends, estimates(values, level), strict=True))
    columns["interval"] = f"{level:.0%} equal-tailed, parameter uncertainty"
    columns["edited"] = (encoded[0].X[at[0]] != encoded[1].X[at[1]]).any(axis=1)
    pairs = pd.MultiIndex.from_arrays([np.minimum(a, b), np.maximum(a, b)])
    disputes = disputes_at(tables, origin)
    table = pd.DataFrame(columns)[~pairs.isin(disputes.index[disputes["open"]])]
    table = table.sort_values("difference", key=lambda x: -x.abs(), kind="stable")
    return table.reset_index(drop=True)


def initiations(
    fit: Fit, scenarios: Sequence[Scenario], *, draws: int = 500
) -> tuple[dict[str, Initiation], list[str]]:
    """Who would begin under each scenario, by a model of initiation fitted to the data of a fit.

    Of the fit, of any unit, the tables, years and seed are taken. Answers by name of scenario, and
    why there is none: the data do not say who began, or the model did not pass the publication
    gate.
    """
    from forecast.inference.fit import fit as fit_model
    from forecast.modeling.spec import load_model
    from forecast.panel import build
    from forecast.panel.types import CHOICES

    tables = fit.panel.tables
    if not scenarios or tables is None:
        return {}, []
    if not initiators_coded(tables.conflicts):
        return {}, [f"Who would begin is not told: {tables.name} does not say who began conflicts."]
    spec = load_model(DIRECTED)
    try:
        year = fit.panel.data["year"]
        panel = build.load_panel(
            data=tables,
            years=(int(year.min()), int(year.max())),
            **{name: getattr(spec, name) for name in CHOICES},
        )
        directed = fit_model(spec, panel, seed=fit.seed, draws=draws).require_passed()
    except ForecastError as error:
        return {}, [f"Who would begin is not told, since {DIRECTED} cannot be fitted: {error}"]
    return {scenario.name: initiation(directed, scenario) for scenario in scenarios}, []


def _panel(fit: Fit, tables: Tables, origin: int, year: int) -> Panel:
    """Rows of a year ahead, the conflicts of the record moved to the year before it."""
    try:
        panel = future_panel(replace(fit.panel, tables=tables), year=year)
    except CoverageError as error:
        raise ArgumentError(str(error)) from error
    assert panel.world is not None
    return replace(panel, world=freeze_conflicts(panel.world, year - 1 - origin))
