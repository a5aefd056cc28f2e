"""Dependency: how much of a state's security is other states' capability.

E_i = Σ_{k∈D(i)} w_k c_k, where w_k is the strength of k's obligation to i (`weights`: defence
only by default; ``"ordinal"`` = 1, 1, .5, .25, .15 over defence, offence, neutrality,
non-aggression, consultation is the named alternative; a mapping gives one's own).

US troops that a state hosts are dependency on the patron's own soldiers, beside its pledge. The
embedded data have no such table: ``sources={"troops": "us_troops_2024"}`` adds it. The United
States host no troops of another state here: 0 by definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import xarray as xr

from forecast.features import arrays
from forecast.features.arrays import Weights
from forecast.features.needs import constant
from forecast.features.registry import feature
from forecast.features.shared import shared
from forecast.sources.codes import UNITED_STATES

SOURCE = "project definition; Morrow 1991 and Lake 2009 on security reliance"
TROOPS = "Allen, Flynn & Machain 2022"
_feature = partial(
    feature, family="dependency", source=SOURCE, needs=("obligation", "capability", "member")
)


@dataclass(frozen=True, eq=False)
class Security:
    """A state's own capability c and what its allies bring: w_k a_k of each; (year, state).

    `strength` holds w_k, (year, state, other); `amount` a_k, what k's capability is worth.
    """

    strength: np.ndarray
    amount: np.ndarray
    own: np.ndarray

    @cached_property
    def total(self) -> np.ndarray:
        """E = Σ_k w_k a_k; 0 without allies, NaN when an ally's amount is missing."""
        return arrays.sum_over(self.strength, self.amount)

    @cached_property
    def largest(self) -> np.ndarray:
        """max_k w_k a_k, as `total`."""
        known = np.where(np.isnan(self.amount), 0.0, self.amount).astype(np.float64)
        top = (self.strength * known[:, None, :]).max(axis=2, initial=0.0)
        return np.where(np.isnan(self.total), np.nan, top)

    def external_share(self) -> np.ndarray:
        """E / (E + c); 0 without allies, whatever the own capability."""
        return self._share(self.total)

    def patron_share(self) -> np.ndarray:
        """max_k w_k a_k / (E + c); 0 without allies."""
        return self._share(self.largest)

    def _share(self, part: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.where(self.total == 0, 0.0, part / (self.total + self.own))

    def ally_concentration(self) -> np.ndarray:
        """Σ_k (w_k a_k)² / E²; NaN without allies."""
        squares = arrays.sum_over(self.strength**2, self.amount**2)
        return np.asarray(np.minimum(arrays.over(squares, self.total**2), 1.0))

    def patron_withdrawal_loss(self) -> np.ndarray:
        """log((E + c) / (E − max_k w_k a_k + c)); 0 without allies."""
        with np.errstate(invalid="ignore"):
            left = np.maximum(self.total - self.largest, 0.0) + self.own
            return np.where(self.total == 0, 0.0, np.log1p(self.largest / left))


@shared
def security(world: xr.Dataset, weights: Weights) -> Security:
    """Security by capabilities as they are."""
    share = arrays.capability(world)
    return Security(arrays.defenders(world, weights), share, share)


@_feature(
    level="state",
    unit="share",
    formula="E_i / (E_i + c_i); n equal allies of equal size give n/(n+1)",
)
def external_share(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Share of the state's security that its allies' capability makes up; 0 without allies."""
    return security(world, weights).external_share()


@_feature(level="state", unit="share", formula="max_k w_k c_k / (E_i + c_i)")
def patron_share(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Share of the state's security that its largest ally makes up; 0 without allies."""
    return security(world, weights).patron_share()


@_feature(
    level="state",
    unit="index",
    formula="Σ_k (w_k c_k / E_i)²; from 1/n to 1, missing without allies",
    source="Herfindahl 1950",
)
def ally_concentration(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Herfindahl index of the allies' capability; missing without allies (see `has_ally`)."""
    return security(world, weights).ally_concentration()


@_feature(
    level="state", unit="0/1", formula="1 if D(i) is not empty", needs=("obligation", "member")
)
def has_ally(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Whether anybody is bound to the state."""
    return np.asarray((arrays.defenders(world, weights) > 0).any(axis=2))


@_feature(
    level="state",
    unit="share",
    formula="1 − external_share = c_i / (E_i + c_i); never together with it in a model",
)
def autonomy(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Share of the state's security that is its own capability; 1 without allies."""
    return 1.0 - security(world, weights).external_share()


@_feature(
    level="state",
    unit="log ratio",
    sign="+",
    formula="log((E_i + c_i) / (E_i − max_k w_k c_k + c_i))",
)
def patron_withdrawal_loss(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Log fall of the state's security if its largest ally left; 0 without allies."""
    return security(world, weights).patron_withdrawal_loss()


@shared
def hosted(world: xr.Dataset) -> np.ndarray:
    """Active-duty US personnel in each state, persons, (year, state); 0 for the United States."""
    troops = world["us_troops"].to_numpy().astype(np.float64)
    return np.where(world["state"].to_numpy() == UNITED_STATES, 0.0, troops)


@_feature(
    level="state",
    unit="log persons",
    formula="log(1 + T_i), T active-duty US personnel in i; 0 for the United States",
    source=TROOPS + "; Martinez Machain & Morgan 2013",
    needs=("troops", "member"),
    pre_treatment=False,
)
def us_troops(world: xr.Dataset) -> np.ndarray:
    """US troops that the state hosts (side b of a directed dyad: the target's)."""
    return np.asarray(np.log1p(hosted(world)))


@_feature(
    level="state",
    unit="log persons per 100,000",
    formula="log(1 + 100,000 T_i / population of i)",
    source=TROOPS,
    needs=("troops", "capability", "member"),
    pre_treatment=False,
    simulate=constant("troops"),
)
def us_troops_per_capita(world: xr.Dataset) -> np.ndarray:
    """US troops that the state hosts for each 100,000 of its people."""
    return np.asarray(np.log1p(1e5 * arrays.over(hosted(world), _size(world, "host_population"))))


@_feature(
    level="state",
    unit="share",
    formula="T_i / (T_i + own military personnel of i); missing without the latter",
    source=TROOPS + "; own personnel: Singer, Bremer & Stuckey 1972 (milper)",
    needs=("troops", "capability", "member"),
    pre_treatment=False,
    simulate=constant("troops"),
)
def us_troops_share(world: xr.Dataset) -> np.ndarray:
    """Share of the US troops in all soldiers in the state (historical data only)."""
    troops = hosted(world)
    return arrays.over(troops, troops + _size(world, "host_personnel"))


def _size(world: xr.Dataset, name: str) -> np.ndarray:
    """A size of the hosts, persons; NaN throughout if the capabilities do not have it."""
    if name not in world:
        return np.full(world["us_troops"].shape, np.nan)
    return np.asarray(world[name].to_numpy(), dtype=np.float64)
