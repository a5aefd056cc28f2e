"""In which years a feature is known, and of whom: what it needs, and what covers that."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import UnknownNameError
from forecast.features.arrays import OBLIGATION_WEIGHTS
from forecast.features.shared import shared

__all__ = ["MEASURES", "NEEDS", "known_classes", "known_years", "mask", "needed"]

Float32Array = npt.NDArray[np.float32]

#: What a feature may need, with its mask of covered years; "member" has none. The masks from
#: "rivalry" on belong to tables that a data set may lack.
NEEDS: Mapping[str, str | None] = MappingProxyType(
    {
        "obligation": "obligation_covered",
        "treaty": "obligation_covered",
        "capability": "capability_covered",
        "conflict": "conflict_covered",
        "contiguity": "contiguity_covered",
        "neutrality": "neutrality_covered",
        "member": None,
        "rivalry": "rivalry_covered",
        "regime": "regime_covered",
        "polity": "polity_covered",
        "troops": "troops_covered",
        "trade": "trade_covered",
        "igo": "igo_covered",
        "distance": "distance_covered",
    }
)

#: Measures of democracy, as the option ``measure`` names them, with the need that each is.
MEASURES: Mapping[str, str] = MappingProxyType({"polyarchy": "regime", "polity": "polity"})


def needed(needs: frozenset[str], options: Mapping[str, Any]) -> frozenset[str]:
    """What is needed under these options: another measure of democracy is another table."""
    if "measure" not in options or not needs & set(MEASURES.values()):
        return needs  # other features measure other things
    if options["measure"] not in MEASURES:
        raise UnknownNameError("measure of democracy", options["measure"], MEASURES)
    return needs - set(MEASURES.values()) | {MEASURES[options["measure"]]}


def known_years(world: xr.Dataset, needs: frozenset[str]) -> npt.NDArray[np.bool_]:
    """Years that all needed sources cover; none if the world lacks the table of one."""
    known = np.ones(world.sizes["year"], dtype=bool)
    for need in needs:
        if (mask := NEEDS[need]) is not None:
            known &= np.asarray(world[mask]) if mask in world else np.False_
    return known


def known_classes(world: xr.Dataset, options: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Years that cover every obligation class that the options ask for by name or by weight."""
    known = np.ones(world.sizes["year"], dtype=bool)
    for option in ("obligation", "weights"):
        asked = options.get(option, {})
        weights = OBLIGATION_WEIGHTS.get(asked, {}) if isinstance(asked, str) else asked
        for name, weight in weights.items():
            if weight and (mask := f"{name}_covered") in world:
                known &= world[mask].to_numpy()
    return known


def mask(
    values: Float32Array,
    world: xr.Dataset,
    known: npt.NDArray[np.bool_],
    level: str,
    needs: frozenset[str],
) -> Float32Array:
    """Write NaN where a source does not cover the year or a state is not in the system."""
    if not known.all():
        values[~known] = np.nan
    if "member" in needs and level == "state":
        values[~world["member"].to_numpy()] = np.nan
    elif "member" in needs and level != "system":
        np.copyto(values, np.float32(np.nan), where=_no_pairs(world))
    return values


@shared
def _no_pairs(world: xr.Dataset) -> npt.NDArray[np.bool_]:
    """All but pairs of two different members of the system, (year, state, other)."""
    member = world["member"].to_numpy()
    different = ~np.eye(member.shape[1], dtype=bool)
    return np.asarray(~(member[:, :, None] & member[:, None, :] & different))
