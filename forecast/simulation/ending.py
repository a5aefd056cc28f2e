"""How long disputes go on: the hazard of ending, by age and severity, with its uncertainty.

A dispute that is open on 31 December goes on to the next year or ends in it. The unit is the year,
so that an end of which only the year is known is an end in that year; one that may lie beyond the
end of the list (known to the year, in the last year covered) and a dispute that still runs are
censored. Level and deaths are those of the whole dispute, which sources code once: of a dispute
that is still open they are those so far, of an ended one those that it came to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.draws import Stream, generator
from forecast.errors import DataError
from forecast.inference.fit import Fit, fit
from forecast.inference.predict import predict
from forecast.modeling.spec import load_model
from forecast.panel.types import Panel
from forecast.sources.spells import span_years

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = ["Endings", "disputes_at", "ending_panel", "record_panel"]

IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

#: From this class of deaths on (more than 25) a dispute is a severe one.
_SEVERE = 2
_LEAST_DRAWS = 100


def ending_panel(tables: Tables, *, last: int) -> Panel:
    """One row for each dispute of a pair and year in which it went on: whether it ended in it.

    Known to the end of year `last`. Unit ``"dispute-dyad-year"``. Outcome ``ended``: 1 in the year
    of the end (the dispute is not open on its 31 December), 0 before, NaN where censored. Variables
    ``age`` (years since the one in which it began), ``year_of_onset`` and ``first_full_year`` (0/1:
    age 0, and 1) and ``deaths_25`` (0/1: more than 25 deaths of the pair, as recorded; unknown is
    0).
    """
    table = tables.conflicts
    begun = (table["start"].dt.year <= last).to_numpy(dtype=bool)
    table = table[begun].sort_values(["start", "ccode_a", "ccode_b", "conflict_id"], kind="stable")
    start, end = span_years(table)
    length = np.minimum(end, last) - start + 1
    row = np.repeat(np.arange(len(table)), length)
    age = np.arange(row.size) - np.repeat(np.cumsum(length) - length, length)
    year = start[row] + age
    ended = (end[row] == year).astype(np.float64)
    vague = (table["end_precision"] == "year").to_numpy(dtype=bool)
    ended[(ended == 1) & (year == last) & vague[row]] = np.nan
    data = xr.Dataset(
        {"outcome": ("row", ended), **_columns(age, _severe(table)[row])},
        coords={
            "year": ("row", year),
            **{name: ("row", table[name].to_numpy()[row]) for name in ("ccode_a", "ccode_b")},
            "conflict_id": ("row", table["conflict_id"].to_numpy(dtype=np.str_)[row]),
        },
    )
    return record_panel("ending", data, tables, last=last)


def record_panel(model: str, data: xr.Dataset, tables: Tables, *, last: int) -> Panel:
    """Panel of a model that is fitted to the record behind a forecast, and has no world of its own.

    Its rows (`data`) were made from tables known to the end of year `last`.
    """
    spec = load_model(model)
    return Panel(
        data=data,
        world=None,
        tables=None,
        unit=spec.unit,
        population=spec.population,
        outcome=spec.outcome,
        lag=spec.lag,
        fingerprint=f"{tables.fingerprint}|{model}|last={last}",
    )


def _severe(table: pd.DataFrame) -> IntArray:
    severe = (table["deaths_class"] >= _SEVERE).fillna(False)
    return np.asarray(severe.to_numpy(dtype=bool), dtype=np.int64)


def _columns(age: IntArray, severe: IntArray) -> dict[str, tuple[str, Float64Array]]:
    """Raw values of the model's terms."""
    return {
        "age": ("row", age.astype(np.float64)),
        "year_of_onset": ("row", (age == 0).astype(np.float64)),
        "first_full_year": ("row", (age == 1).astype(np.float64)),
        "deaths_25": ("row", severe.astype(np.float64)),
    }


def disputes_at(tables: Tables, year: int) -> pd.DataFrame:
    """The dispute of each pair that says how things stood on 31 December of a year.

    Indexed by ``ccode_a, ccode_b``; of each pair with a dispute on some day of the (covered) year
    the one that began first among those still open on its last day, or else the one that ended
    last. Columns of the conflicts, ``open`` (bool), ``age`` (years since the one in which it began,
    on 1 January of the next) and ``severe`` (0/1).
    """
    table = tables.conflicts
    start, end = span_years(table)
    here = (start <= year) & (end >= year)
    table = table[here].assign(
        open=end[here] > year, age=year + 1 - start[here], severe=_severe(table)[here]
    )
    ended = table["end"].where(~table["open"])
    table = table.assign(_ended=ended).sort_values(
        ["open", "_ended", "start"], ascending=[False, False, True], kind="stable"
    )
    first = table.drop_duplicates(["ccode_a", "ccode_b"]).drop(columns="_ended")
    return first.set_index(["ccode_a", "ccode_b"]).sort_index()


class Endings:
    """Draws (D) of the probability that a dispute goes on, by age and severity, at an origin.

    `severe` (D,): draws of the share of disputes that come to more than 25 deaths (Jeffreys). Where
    there is nothing to fit, since every dispute of the record has ended or none, the draws are
    those of one share for all years of disputes (Jeffreys).
    """

    def __init__(self, tables: Tables, *, origin: int, draws: int, seed: int) -> None:
        self.tables, self.origin, self.draws = tables, origin, draws
        panel = ending_panel(tables, last=origin)
        rng = generator(seed, Stream.ENDINGS)
        begun = panel.data["age"].to_numpy() == 0
        count = int(panel.data["deaths_25"].to_numpy()[begun].sum())
        self.severe = rng.beta(count + 0.5, begun.sum() - count + 0.5, draws).astype(np.float32)
        ended = panel.data["outcome"].to_numpy()
        over, known = int(np.nansum(ended)), int(np.isfinite(ended).sum())
        self._share = rng.beta(known - over + 0.5, over + 0.5, draws).astype(np.float32)
        try:
            self.fit: Fit | None = fit("ending", panel, seed=seed, draws=max(draws, _LEAST_DRAWS))
        except DataError:
            self.fit = None

    def stays(self, ages: int) -> Float32Array:
        """Probability that a dispute is still open on 31 December of a year; (2 · ages, D).

        Row 2 · age + severe is that of a dispute begun `age` years before: with age 0, of one that
        begins in the year.
        """
        if self.fit is None:
            return np.tile(self._share, (2 * ages, 1))
        age, severe = np.divmod(np.arange(2 * ages), 2)
        year = ("row", np.full(age.size, self.origin + 1))
        rows = xr.Dataset(_columns(age, severe), coords={"year": year})
        ends = predict(self.fit, rows, draws=self.draws).to_numpy()
        return np.ascontiguousarray(1.0 - ends.T, dtype=np.float32)

    def survival(self, code: int, horizon: int) -> Float32Array:
        """Probability that a dispute of the origin is still open after 1 … h years; (h, D).

        `code` is 2 · age + severe in the first year.
        """
        yearly = self.stays(code // 2 + horizon)[code : code + 2 * horizon : 2]
        return np.asarray(np.multiply.accumulate(yearly, axis=0))
