"""How much of what happened a record of conflicts holds, and how sure that is where no list ends.

A record that is searched from public sources misses small incidents, and not equally in all years.
Up to the end of a complete list its share of the list is measured (``benchmarks/recall.py``); after
it nothing can be measured, and a declared prior takes over that widens year by year (`Recall`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from forecast.errors import ArgumentError

__all__ = ["Recall"]

#: Class of deaths from which an outcome counts a conflict; the others count it whatever it cost.
_DEATHS_FROM: Mapping[str, str] = {
    "fatal_onset": "fatal",
    "deaths_25_onset": "deaths_25",
    "war_onset": "deaths_25",
}
#: Years of which the mean level of onsets is learned, before the first that is forecast: what a
#: forecast carries on is how the record saw in the middle of them.
_LEVEL_YEARS = 10


@dataclass(frozen=True)
class Recall:
    """Declared prior of the share of conflicts that a record holds.

    The log-odds of the share are normal in `last`, the last year in which it is measured, and a
    random walk after it: common to all regions, and one for each region.

    Attributes
    ----------
    against : str
        The list by which it is measured, and what of it.
    last : int
        Last year of that list.
    share : mapping of str to float
        Share of the list's disputes that are on the record, by class: ``any``, ``fatal`` (at
        least one death), ``deaths_25`` (more than 25).
    log_odds_sd : float
        Standard deviation of its log-odds in `last`.
    drift, regional_drift : float
        Standard deviations of the two random walks over ten years.
    """

    against: str
    last: int
    share: Mapping[str, float]
    log_odds_sd: float
    drift: float
    regional_drift: float

    def __post_init__(self) -> None:
        shares = dict(self.share)
        if set(shares) != {"any", "fatal", "deaths_25"} or not all(
            0.0 < value < 1.0 for value in shares.values()
        ):
            raise ArgumentError(
                f"recall.share: found {shares}, expected a share between 0 and 1 for each of 'any',"
                " 'fatal', 'deaths_25'."
            )
        if min(self.log_odds_sd, self.drift, self.regional_drift) < 0:
            raise ArgumentError("recall: expected standard deviations of at least 0.")
        object.__setattr__(self, "share", MappingProxyType(shares))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"share": dict(self.share)}

    def interval(self, year: int, outcome: str = "onset", *, level: float = 0.9) -> list[float]:
        """Median and equal-tailed interval, over regions, of the share on record in a year.

        Of conflicts that count as an onset for `outcome`, with probability `level`; up to `last`
        only the uncertainty of the measurement.
        """
        from scipy.special import ndtri

        far = ndtri(0.5 + level / 2.0) * self._sd(year)
        center = logit(self._share(outcome))
        return [float(expit(center + d)) for d in (0.0, -far, far)]

    def _share(self, outcome: str) -> float:
        return self.share[_DEATHS_FROM.get(outcome, "any")]

    def _sd(self, year: int) -> float:
        """Standard deviation of the log-odds that all regions have in common."""
        return float(
            np.hypot(self.log_odds_sd, self.drift * np.sqrt(max(year - self.last, 0) / 10))
        )

    def factors(
        self,
        outcome: str,
        regions: int,
        *,
        origin: int,
        horizon: int,
        draws: int,
        rng: np.random.Generator,
    ) -> npt.NDArray[np.float32]:
        """Recording in years to come, relative to that behind the level of a forecast.

        A forecast carries on the level of the last years on record. What will be recorded differs
        by how the share changes from the middle of them to the year. Factors have mean one: they
        widen totals and do not move them.

        Shape (horizon, regions, draws), for the years after `origin`, the last on record.
        """
        middle = float(logit(self._share(outcome)))
        now = middle + self._sd(origin) * rng.standard_normal(draws)
        steps = np.full(horizon, 1.0)
        steps[0] += _LEVEL_YEARS / 2.0
        scale = np.sqrt(steps / 10.0)[:, None, None]
        common = (self.drift * scale * rng.standard_normal((horizon, 1, draws))).cumsum(axis=0)
        own = self.regional_drift * scale * rng.standard_normal((horizon, regions, draws))
        found = expit(now + common + own.cumsum(axis=0)) / expit(now)
        return np.asarray(found / found.mean(axis=2, keepdims=True), dtype=np.float32)

    def sentence(self, year: int, outcome: str = "onset") -> str:
        """What the prior says of one year, in words."""
        middle, lower, upper = self.interval(year, outcome)
        return (
            f"To {self.last} the record holds {self.share[_DEATHS_FROM.get(outcome, 'any')]:.0%} of"
            f" {self.against}; for {year}, where nothing can be measured, its declared prior is"
            f" {middle:.0%} (90% equal-tailed interval {lower:.0%} to {upper:.0%})."
        )
