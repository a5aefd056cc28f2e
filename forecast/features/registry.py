"""The registry of features: every feature is one function with its unit, bounds and formula."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features.needs import (
    NEEDS,
    Moves,
    Rule,
    known_classes,
    known_years,
    mask,
    moves_of,
    needed,
)
from forecast.unmeasured import UNMEASURABLE, why_unmeasured

__all__ = [
    "FAMILIES", "LEVELS", "Feature", "feature", "feature_table", "features_markdown", "get_feature",
    "registered_features",
]  # fmt: skip

Level = Literal["system", "state", "dyad", "directed"]
Sign = Literal["+", "-", "free"]
FloatArray = npt.NDArray[np.float32]

#: Families in the order in which they are listed, with the heading used in the docs.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "expansion": "Alliance expansion",
        "dependency": "Dependency on allies",
        "commitment": "Commitment balance",
        "deterrence": "Deterrence and entanglement",
        "reliability": "Reliability of allies",
        "structure": "Alliance structure",
        "geography": "Geography",
        "power": "Power",
        "society": "Regimes, trade and organisations",
        "history": "Dispute history and rivalry",
    }
)

#: Dimensions of the array that a feature of each level returns.
LEVELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "system": ("year",),
        "state": ("year", "state"),
        "dyad": ("year", "state", "other"),
        "directed": ("year", "state", "other"),
    }
)

#: Units whose values are from 0 to 1.
_UP_TO_ONE = frozenset({"share", "index", "0/1"})

#: Dimensions of the world, in the order that features rely on.
DIMENSIONS = ("year", "treaty", "state", "other", "obligation", "item", "call")

_REGISTRY: dict[str, Feature] = {}


@dataclass(frozen=True)
class Feature:
    """One registered feature.

    Attributes
    ----------
    name : str
        Name by which models ask for it.
    family : str
        A key of `FAMILIES`.
    level : {"system", "state", "dyad", "directed"}
        What `function` returns: (year,), (year, state), a symmetric (year, state, other), or a
        directed (year, state, other) that holds the value of `state` towards or against `other`.
    unit : str
        Unit of the values.
    bounds : tuple of (float or None, float or None)
        Smallest and largest possible value; None where there is none.
    sign : {"+", "-", "free"}
        Direction the literature expects for conflict onset.
    formula : str
        Formula in one line.
    source : str
        Where the formula comes from.
    needs : frozenset of str
        Inputs among the keys of `NEEDS`. ``"conflict"`` marks a feature that changes with
        simulated conflicts; ``"member"`` one that is not defined for states outside the system.
    pre_treatment : bool
        May stay in a what-if model: part of the alliance graph that is edited, or not itself a
        consequence of it.
    function : callable
        ``function(world, *, **options) -> xarray.DataArray`` of float, value at year s = state
        of affairs in s (unlagged); NaN where not defined or not covered.
    plain : callable
        The same without labels, for a world whose dimensions are `ordered`.
    options : mapping of str to object
        Names of the options with their defaults.
    whole_record : bool
        Depends on every year before s, not only on those of its windows.
    moves : Moves
        How it moves in a simulated year.
    """

    name: str
    family: str
    level: Level
    unit: str
    bounds: tuple[float | None, float | None]
    sign: Sign
    formula: str
    source: str
    needs: frozenset[str]
    pre_treatment: bool
    function: Callable[..., xr.DataArray]
    plain: Callable[..., FloatArray]
    options: Mapping[str, Any]
    whole_record: bool
    moves: Moves

    def __call__(self, world: xr.Dataset, **options: Any) -> xr.DataArray:
        """Values in every year of `world`; an unknown option is an error."""
        self.check_options(options)
        return self.function(world, **options)

    def lookback(self, options: Mapping[str, Any]) -> int | None:
        """How many years before s the value of s depends on; None if on all of them.

        The longest of the windows among the options (``window``, ``rival_window`` …).
        """
        if self.whole_record:
            return None
        given = {**self.options, **options}
        windows = [v for k, v in given.items() if k == "window" or k.endswith("_window")]
        return max((int(v) for v in windows if isinstance(v, (int, np.integer))), default=0)

    def rule(self, options: Mapping[str, Any]) -> Rule | None:
        """How it is carried forward draw by draw under these options; None if it is not."""
        given = {**self.options, **options}
        if self.moves.rule is None or not (self.moves.when is None or self.moves.when(given)):
            return None
        return partial(self.moves.rule, **given)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise `UnknownNameError` for an option that the feature does not have."""
        for name in options:
            if name not in self.options:
                known = ", ".join(sorted(self.options)) or "none"
                raise UnknownNameError(
                    f"option of feature {self.name!r}", name, self.options, f"Its options: {known}."
                )


def feature(
    *,
    family: str,
    level: Level,
    unit: str,
    formula: str,
    source: str,
    needs: Iterable[str],
    bounds: tuple[float | None, float | None] | None = None,
    sign: Sign = "free",
    pre_treatment: bool | None = None,
    whole_record: bool = False,
    simulate: Moves | None = None,
) -> Callable[[Callable[..., np.ndarray]], Callable[..., xr.DataArray]]:
    """Register a function as a feature of its own name; terms as in `Feature`.

    The decorated function takes the world and keyword-only options and returns a plain array
    of the level's shape. What callers get is a `DataArray` with the level's dimensions, NaN in
    years that one of the needed sources does not cover and, when ``"member"`` is needed, for
    states that are not in the system and for a state paired with itself.

    By default shares, indices and 0/1 are bounded by 0 and 1, other values by 0 from below; what
    is not built from conflicts is pre-treatment, and moves in a simulated year as what it needs
    does. A feature that is built from conflicts must say how it moves (`simulate`): otherwise it
    would stand still in simulated years without a word.
    """
    required = frozenset(needs)
    if unknown := required - set(NEEDS):
        raise UnknownNameError("need of a feature", sorted(unknown)[0], NEEDS)
    if family not in FAMILIES:
        raise UnknownNameError("feature family", family, FAMILIES)

    def register(function: Callable[..., np.ndarray]) -> Callable[..., xr.DataArray]:
        name = function.__name__
        if name in _REGISTRY:
            raise ArgumentError(f"feature {name!r} is registered twice")

        dims = LEVELS[level]

        def plain(world: xr.Dataset, **options: Any) -> FloatArray:
            asked = needed(required, options)
            known = known_years(world, asked) & known_classes(world, options)
            if known.any():
                values = np.array(function(world, **options), dtype=np.float32, order="C")
                return mask(values, world, known, level, asked)
            # A table that is not there: nothing to compute from.
            return np.full([world.sizes[dim] for dim in dims], np.nan, dtype=np.float32)

        @wraps(function)
        def labelled(world: xr.Dataset, **options: Any) -> xr.DataArray:
            values = plain(ordered(world), **options)
            coords = {dim: world[dim] for dim in dims}
            return xr.DataArray(
                values, dims=dims, coords=coords, name=name, attrs={"unit": unit, "level": level}
            )

        parameters = inspect.signature(function).parameters.values()
        _REGISTRY[name] = Feature(
            name=name,
            family=family,
            level=level,
            unit=unit,
            bounds=bounds or (0, 1 if unit in _UP_TO_ONE else None),
            sign=sign,
            formula=formula,
            source=source,
            needs=required,
            pre_treatment="conflict" not in required if pre_treatment is None else pre_treatment,
            function=labelled,
            plain=plain,
            options=MappingProxyType(
                {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
            ),
            whole_record=whole_record,
            moves=_moves(name, required, simulate),
        )
        return labelled

    return register


def _moves(name: str, needs: frozenset[str], simulate: Moves | None) -> Moves:
    if simulate is None and "conflict" in needs:
        raise ArgumentError(
            f"feature {name!r} is built from conflicts and does not say how it moves in a "
            "simulated year: give simulate=from_conflicts(rule), or as_at_origin(reason)"
        )
    return simulate or moves_of(needs)


def ordered(world: xr.Dataset) -> xr.Dataset:
    """The world with its dimensions in the order that features rely on (views, no copies)."""
    rank = {dim: at for at, dim in enumerate(DIMENSIONS)}
    orders = ([rank.get(str(dim), len(rank)) for dim in v.dims] for v in world.variables.values())
    if all(order == sorted(order) for order in orders):
        return world
    return world.transpose(*DIMENSIONS, missing_dims="ignore")


def registered_features() -> tuple[Feature, ...]:
    """All features, by family in the order of `FAMILIES`, then in order of definition."""
    order = list(FAMILIES)
    return tuple(sorted(_REGISTRY.values(), key=lambda f: order.index(f.family)))


def get_feature(name: str) -> Feature:
    """Feature of that name.

    Raises
    ------
    UnknownNameError
        When there is none; names the nearest, or says why it cannot be measured.
    """
    if name in _REGISTRY:
        return _REGISTRY[name]
    if reason := why_unmeasured(str(name), _REGISTRY):
        raise UnknownNameError("feature", name, (), reason)
    raise UnknownNameError("feature", name, _REGISTRY)


def feature_table() -> pd.DataFrame:
    """One row per feature, indexed by name: what `forecast features` and the docs list."""
    return pd.DataFrame(
        [
            {
                "name": f.name,
                "family": f.family,
                "level": f.level,
                "unit": f.unit,
                "lower": f.bounds[0],
                "upper": f.bounds[1],
                "sign": f.sign,
                "formula": f.formula,
                "source": f.source,
                "needs": ", ".join(sorted(f.needs)),
                "pre_treatment": f.pre_treatment,
                "options": ", ".join(f"{k}={v!r}" for k, v in f.options.items()),
                "simulated": f.moves.words,
                "summary": (inspect.getdoc(f.function) or "").split("\n", 1)[0],
            }
            for f in registered_features()
        ]
    ).set_index("name")


def features_markdown() -> str:
    """All features as Markdown tables, one per family: the text of ``docs/features.md``."""
    table = feature_table()
    blocks = [
        "# Features",
        "Generated from the registry by `forecast features`. Value in year s is the state of "
        "affairs in s; the lag is applied once, when rows are gathered. A dash as a bound means "
        "unbounded. 'What-if' says whether the feature may stay in a what-if model: it is part of "
        "the alliance graph that is edited, or not itself a consequence of it. 'In a simulated "
        "year' says how it moves when years ahead are simulated; what it is built from besides "
        "conflicts (alliances, capabilities) always moves as the simulated world does.",
    ]
    for family, heading in FAMILIES.items():
        rows = table[table["family"] == family]
        if rows.empty:
            continue
        blocks.append(f"## {heading}")
        lines = [
            "| feature | formula | level | unit | bounds | expected sign | options | what-if "
            "| in a simulated year | source |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for name, row in rows.iterrows():
            lower, upper = (
                "–" if pd.isna(bound) else f"{bound:g}" for bound in (row["lower"], row["upper"])
            )
            cells = (
                f"`{name}`",
                row["formula"],
                row["level"],
                row["unit"],
                f"{lower} … {upper}",
                {"-": "−"}.get(row["sign"], row["sign"]),
                f"`{row['options']}`" if row["options"] else "",
                "yes" if row["pre_treatment"] else "no",
                row["simulated"],
                row["source"],
            )
            lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
        blocks.append("\n".join(lines))
    blocks.append("## What cannot be measured")
    blocks.append("\n".join(f"- `{name}`: {reason}" for name, reason in UNMEASURABLE.items()))
    return "\n\n".join(blocks) + "\n"
