"""Strata of dyads by what is on record between the two, and how often each sees an onset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.evaluation.tables import LONG_PEACE
from forecast.features.history import disputes_total, peace_years
from forecast.panel.build import relevant_pairs

__all__ = ["NEW", "OUTSIDE", "STRATA", "UNDER_WAY", "BaseRate", "base_rates", "stratum_of"]

#: A dispute of the two is open on the last day that is known.
UNDER_WAY = "under way"

#: Of the others: no onset between the two on record; one, but more than ten years of peace; a
#: recent one.
STRATA: tuple[str, ...] = (UNDER_WAY, "first ever", "quiet", "recurrent")
#: In a backtest: pairs that had never been rows before the origin, whatever is on record.
NEW = "new dyad"
#: Pairs that are not politically relevant.
OUTSIDE = "outside the population"


@dataclass(frozen=True)
class BaseRate:
    """Observed share of dyads with at least one onset within some years.

    Attributes
    ----------
    rows, onsets : int
        Dyad-years at risk, and those followed by an onset within the horizon.
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
) -> npt.NDArray[np.str_]:
    """Stratum of dyads from their past, by the names in `STRATA`.

    Parameters
    ----------
    peace, disputes : numpy.ndarray
        Completed years of peace, and number of past onsets; same shapes.
    under_way : numpy.ndarray of bool, optional
        Whether a dispute is open; of the same shape. Without it those have no stratum of their
        own.
    """
    quiet = np.where(np.asarray(peace) > LONG_PEACE, "quiet", "recurrent")
    found = np.where(np.asarray(disputes) > 0, quiet, "first ever")
    return found if under_way is None else np.where(under_way, UNDER_WAY, found)


def base_rates(world: xr.Dataset, *, horizon: int) -> dict[int, dict[str, BaseRate]]:
    """Observed rates within 1 … `horizon` years, by stratum of the politically relevant dyads.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world; only years whose conflicts, and the year before, are covered count.
    horizon : int
        Longest horizon in years.

    Returns
    -------
    dict of int to dict of str to BaseRate
        By horizon; inside by the names in `STRATA` and `OUTSIDE`. Every dyad-year counts; its
        stratum is that of the end of the year before.
    """
    onset, together = world["onset"].to_numpy(), world["together"].to_numpy()
    is_open = world["open"].to_numpy()
    before = np.cumsum(onset, axis=0, dtype=np.int16)
    covered = world["conflict_covered"].to_numpy()
    peace = np.nan_to_num(peace_years(world).to_numpy())
    disputes = np.nan_to_num(disputes_total(world).to_numpy())
    relevant = relevant_pairs(world)
    names = (*STRATA, OUTSIDE)
    rows = np.zeros((horizon + 1, len(names)), dtype=np.int64)
    onsets = np.zeros_like(rows)
    for t in np.flatnonzero(covered[1:] & covered[:-1]) + 1:
        upper = np.triu(together[t], k=1)
        stratum = stratum_of(peace[t - 1], disputes[t - 1], is_open[t - 1])
        stratum = np.where(relevant[t], stratum, OUTSIDE)[upper]
        which = np.array([np.count_nonzero(stratum == name) for name in names])
        for h in range(1, horizon + 1):
            end = t + h - 1
            if end >= covered.size or not covered[end]:
                break
            event = ((before[end] - before[t - 1]) > 0)[upper]
            rows[h] += which
            onsets[h] += [np.count_nonzero(stratum[event] == name) for name in names]
    return {
        h: {name: BaseRate(int(rows[h, i]), int(onsets[h, i])) for i, name in enumerate(names)}
        for h in range(1, horizon + 1)
    }
