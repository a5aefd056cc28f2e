"""Strata of dyads by what is on record between the two, and how often each sees an onset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.features.gather import FeatureRequest, compute_features
from forecast.features.history import disputes_total, peace_years
from forecast.panel.events import UnderWay
from forecast.panel.rows import pairs_of, relevant_pairs
from forecast.panel.types import Panel

__all__ = [
    "LONG_PEACE", "NEW", "OUTSIDE", "REMOTE", "STRATA", "STRATA_WORDS", "STRATUM_COLUMNS",
    "UNDER_WAY", "BaseRate", "base_rates", "population_words", "strata_of_rows", "stratum_of",
]  # fmt: skip

#: Completed years of peace beyond which a pair counts as quiet.
LONG_PEACE = 10

#: A dispute of the two is open on the last day that is known.
UNDER_WAY = "under way"

#: Of the others: no onset between the two on record; one, but more than ten years of peace; a
#: recent one.
_PASTS = ("first ever", "quiet", "recurrent")
#: Behind the past of pairs that are not politically relevant: their rates are a hundredth.
REMOTE = ", remote"
STRATA: tuple[str, ...] = (UNDER_WAY, *_PASTS, *(past + REMOTE for past in _PASTS))
#: In a backtest: pairs that had never been rows before the origin, whatever is on record.
NEW = "new dyad"
#: Pairs that are not of the population, such as politically relevant ones.
OUTSIDE = "outside the population"


#: The strata in words, as the end of "the rate of …".
STRATA_WORDS: dict[str, str] = {
    "under way": "pairs with a conflict under way",
    "first ever": "neighbours, or pairs with a major power, with no conflict on record",
    "quiet": "neighbours, or pairs with a major power, with an old conflict and more than ten years"
    " of peace since",
    "recurrent": "neighbours, or pairs with a major power, with a conflict in the last ten years",
    "first ever, remote": "pairs neither neighbours nor with a major power, with no conflict on"
    " record",
    "quiet, remote": "pairs neither neighbours nor with a major power, with an old conflict and"
    " more than ten years of peace since",
    "recurrent, remote": "pairs neither neighbours nor with a major power, with a conflict in the"
    " last ten years",
    "outside the population": "pairs outside the model's population",
}
#: What the stratum of a row is told from. Borders and powers of a new state are known with it.
STRATUM_COLUMNS: tuple[FeatureRequest, ...] = (
    FeatureRequest("stratum_peace_years", "peace_years"),
    FeatureRequest("stratum_disputes", "disputes_total"),
    FeatureRequest("stratum_under_way", "under_way"),
    FeatureRequest("stratum_relevant", "politically_relevant", at_entry="current"),
)


@dataclass(frozen=True)
class BaseRate:
    """Observed share of dyads with at least one onset within some years.

    Of so many dyad-years at risk (`rows`), `onsets` were followed by one within the horizon.
    """

    rows: int
    onsets: int

    @property
    def rate(self) -> float:
        """Mean of the Jeffreys posterior, (onsets + 1/2) / (rows + 1): never exactly zero."""
        return (self.onsets + 0.5) / (self.rows + 1.0)

    def interval(self, level: float) -> tuple[float, float]:
        """Equal-tailed Jeffreys interval of the rate."""
        import scipy.stats

        tail = (1.0 - level) / 2.0
        posterior = scipy.stats.beta(self.onsets + 0.5, self.rows - self.onsets + 0.5)
        return float(posterior.ppf(tail)), float(posterior.ppf(1.0 - tail))


def stratum_of(
    peace: npt.NDArray[np.generic],
    disputes: npt.NDArray[np.generic],
    under_way: npt.NDArray[np.bool_] | None = None,
    *,
    relevant: npt.NDArray[np.bool_],
) -> npt.NDArray[np.str_]:
    """Stratum of dyads, by the names in `STRATA`; all arrays of one shape.

    From completed years of peace, number of past onsets, whether a dispute is open (without it
    those have no stratum of their own) and whether the two are politically relevant.
    """
    quiet = np.where(np.asarray(peace) > LONG_PEACE, "quiet", "recurrent")
    found = np.where(np.asarray(disputes) > 0, quiet, "first ever")
    found = np.where(relevant, found, np.strings.add(found, REMOTE))
    return found if under_way is None else np.where(under_way, UNDER_WAY, found)


def strata_of_rows(panel: Panel, under_way: str) -> npt.NDArray[np.str_]:
    """Stratum of each row of a panel of pairs, told from what its features say.

    Only with the rule ``under_way = "stratum"`` pairs in an open dispute are one of their own.
    """
    data = compute_features(panel, STRATUM_COLUMNS).data
    peace, disputes, open_, relevant = (data[c.name].to_numpy() for c in STRATUM_COLUMNS)
    known = open_ == 1 if under_way == "stratum" else None
    return stratum_of(peace, disputes, known, relevant=relevant == 1)


def base_rates(
    world: xr.Dataset, *, population: str, under_way: UnderWay, horizon: int
) -> dict[int, dict[str, BaseRate]]:
    """Observed rates within 1 … `horizon` years, by stratum of the dyads of a population.

    Only years of the dense world whose conflicts, and the year before, are covered count. The
    stratum of a dyad-year is that of the end of the year before; pairs that are not of the
    `population` (as in `forecast.load_panel`) are `OUTSIDE`. `under_way` says which dyad-years with
    a dispute under way on 1 January count; only with ``"stratum"`` they are a stratum of their own.
    """
    states = world.sizes["state"]
    a, b = np.triu_indices(states, k=1)
    covered = np.flatnonzero(world["conflict_covered"].to_numpy())
    years, shape = slice(covered[0], covered[-1] + 1), (world.sizes["year"], states, states)

    def of_pairs(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Of the covered years, (year, pair)."""
        return np.broadcast_to(values, shape)[years, a, b]

    rows = of_pairs(world["at_risk" if under_way == "convention" else "together"].to_numpy())[1:]
    goes_on = of_pairs(world["open"].to_numpy())[:-1]
    if under_way == "drop":
        rows = rows & ~goes_on
    peace, disputes = (
        of_pairs(np.nan_to_num(values.to_numpy()))[:-1]
        for values in (peace_years(world), disputes_total(world))
    )
    # Of two that were not both there the year before: that of the year, as in `STRATUM_COLUMNS`.
    there, near = (of_pairs(v) for v in (world["together"].to_numpy(), relevant_pairs(world)))
    relevant = np.where(there[:-1], near[:-1], near[1:])
    known = goes_on if under_way == "stratum" else None
    stratum = stratum_of(peace, disputes, known, relevant=relevant)
    inside = of_pairs(pairs_of(world, population))[1:]
    chosen = {name: rows & inside & (stratum == name) for name in STRATA}
    chosen[OUTSIDE] = rows & ~inside
    onset = of_pairs(world["onset"].to_numpy())[1:]
    found, event = {}, np.zeros_like(rows)
    for h in range(1, horizon + 1):
        # The years after which h more are known.
        seen = max(len(rows) - h + 1, 0)
        event = event[:seen] | onset[h - 1 :]
        found[h] = {
            name: BaseRate(int(mask[:seen].sum()), int((mask[:seen] & event).sum()))
            for name, mask in chosen.items()
        }
    return found


def population_words(population: str) -> str:
    """The pairs that a specification is about."""
    return "all pairs of states" if population == "all" else f"{population.replace('_', ' ')} pairs"
