"""From features to rows: the one place where the lag is applied.

A state-level value of each side, or a directed value each way, becomes one number per row as
the request's `side` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, DataError, UnknownNameError, items_of, shown
from forecast.features.positions import Positions, eras
from forecast.features.registry import Feature, get_feature, ordered
from forecast.features.shared import sharing
from forecast.panel.columns import COMBINE, Side, covered
from forecast.panel.from_frame import as_panel
from forecast.panel.types import Panel
from forecast.parallel import in_threads

__all__ = ["ENTRY", "FeatureRequest", "Side", "compute_features", "feature_arrays"]

#: What rows of a state's first year may have; see `FeatureRequest`.
ENTRY: tuple[str, ...] = ("missing", "current")
#: Needs of features that change with events of the year.
EVENTS = frozenset({"conflict", "obligation", "treaty", "rivalry", "trade", "igo", "troops"})

Unit = Literal["state-year", "dyad-year", "directed-dyad-year"]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FeatureRequest:
    """A column to compute.

    Attributes
    ----------
    name : str
        Name of the column.
    feature : str
        Registered feature.
    options : dict
        Options of the feature, e.g. ``{"window": 10}``.
    side : {"a", "b", "sum", "mean", "min", "max", "product", "absdiff", "none"}
        How the two sides' values become one for a dyad row. ``a`` and ``b`` are the row's
        ``ccode_a`` and ``ccode_b`` (in a directed panel challenger and target). ``none`` for a
        symmetric dyad feature, a system feature and any state-year row.
    at_entry : {"missing", "current"}
        What a row of a state's first year has: nothing, since the state had no state of affairs
        the year before, or the value of the year itself. ``current`` is for what the population
        is defined by and no event of the year changes: features that need neither conflicts nor
        alliances, trade or organisations (geography, power, regime).

    Raises
    ------
    UnknownNameError
        Unknown feature, option or side; names the nearest.
    ArgumentError
        A side that the feature's level does not allow.
    """

    name: str
    feature: str
    options: Mapping[str, Any] = field(default_factory=dict)
    side: Side = "none"
    at_entry: Literal["missing", "current"] = "missing"

    def __post_init__(self) -> None:
        if self.side not in get_args(Side):
            raise UnknownNameError(
                f"side of column {self.name!r}:",
                self.side,
                [side for side in get_args(Side) if len(side) > 1],
                f"Sides: {', '.join(get_args(Side))}.",
            )
        spec = self.spec
        spec.check_options(self.options)
        if self.at_entry not in ENTRY:
            raise UnknownNameError(f"at_entry of column {self.name!r}:", self.at_entry, ENTRY)
        if self.at_entry == "current" and (events := spec.needs & EVENTS):
            raise ArgumentError(
                f"column {self.name!r}: at_entry='current' would let feature {spec.name!r} see "
                f"events of the year that is forecast (it needs {', '.join(sorted(events))})"
            )
        if self.side != "none" and spec.level in ("system", "dyad"):
            raise ArgumentError(
                f"column {self.name!r}: feature {spec.name!r} has one value per "
                f"{'year' if spec.level == 'system' else 'pair'}; side must be 'none', "
                f"found {self.side!r}"
            )
        if self.side == "none" and spec.level == "directed":
            raise ArgumentError(
                f"column {self.name!r}: feature {spec.name!r} is directed (one value for each "
                "side of a pair); side must be one of a, b, sum, mean, min, max, product, absdiff, "
                "and a state-year panel cannot have it"
            )

    @property
    def spec(self) -> Feature:
        """The registered feature."""
        return get_feature(self.feature)

    @property
    def key(self) -> str:
        """Feature and options as canonical JSON: equal keys share one array."""
        return json.dumps([self.feature, dict(self.options)], sort_keys=True)

    @property
    def made(self) -> tuple[str, str, str]:
        """All that decides the values of the column: `key`, side, and `at_entry`."""
        return self.key, self.side, self.at_entry

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes of the column that say how it was made."""
        return {
            "feature": self.feature,
            "options": json.dumps(dict(self.options), sort_keys=True),
            "side": self.side,
            "unit": self.spec.unit,
            "formula": self.spec.formula,
            "at_entry": self.at_entry,
        }


def _checked(requests: Sequence[FeatureRequest]) -> tuple[FeatureRequest, ...]:
    words = "a list of FeatureRequest(name, feature); forecast.attach takes names of features"
    found = items_of("requests", requests, words)
    for one in found:
        if not isinstance(one, FeatureRequest):
            raise ArgumentError(f"requests: found {shown(one)}, expected {words}.")
    return found


def feature_arrays(
    world: xr.Dataset, requests: Sequence[FeatureRequest], *, unit: Unit = "dyad-year"
) -> dict[str, xr.DataArray]:
    """Unlagged arrays of the requested columns, the two sides combined.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    requests : sequence of FeatureRequest
        Columns.
    unit : {"dyad-year", "directed-dyad-year", "state-year"}
        Unit of the rows.

    Returns
    -------
    dict of str to xarray.DataArray
        For dyads (year, state, other), `state` being side a; for state-years (year, state).
        Value at year s = state of affairs in s.
    """
    shape = ("year", "state") if unit == "state-year" else ("year", "state", "other")
    computed: dict[str, xr.DataArray] = {}
    columns: dict[str, xr.DataArray] = {}
    for request in _checked(requests):
        _check_unit(request, unit)
        if request.key not in computed:
            computed[request.key] = request.spec(world, **request.options)
        raw = computed[request.key]
        level, values = request.spec.level, raw.to_numpy()
        if level == "system":
            combined = np.broadcast_to(
                values.reshape((-1,) + (1,) * (len(shape) - 1)),
                tuple(world.sizes[dim] for dim in shape),
            )
        elif request.side == "none":
            combined = values
        elif level == "state":
            combined = COMBINE[request.side](
                *np.broadcast_arrays(values[:, :, None], values[:, None, :])
            )
        else:
            combined = COMBINE[request.side](values, values.transpose(0, 2, 1))
        columns[request.name] = xr.DataArray(
            combined, dims=shape, coords={d: world[d] for d in shape}, attrs=request.attrs
        )
    return columns


def compute_features(
    panel: Panel, requests: Sequence[FeatureRequest], *, threads: int | None = None
) -> Panel:
    """Panel with one float64 variable per request, gathered `panel.lag` years before each row.

    Parameters
    ----------
    panel : Panel
        Rows and the world they come from.
    requests : sequence of FeatureRequest
        Columns. A column that is there already is kept, unless it records that it was made from
        another feature, options, side or `at_entry` and can be made anew. In an alliance-year
        panel a feature of states is combined over the members of the treaty (side ``sum``,
        ``mean``, ``min`` or ``max``); features of pairs have no value there.
    threads : int, optional
        Threads that compute; by default as many as the process has cores. Values do not depend
        on it.

    Returns
    -------
    Panel
        Missing values are NaN; they include rows whose lagged year the world does not hold and
        rows of a state that enters the system in the year of the row (it had no state of affairs
        the year before; only its dispute history, which is none, is known). The attributes of a
        column say how it was made, and which years (of the state of affairs) it ``covers``: the
        first and last with a value in some row.

    Raises
    ------
    ArgumentError
        Two different requests for one column, or a side that does not suit the panel's unit.
    DataError
        A column is missing and the panel has no world to compute it from, or a row names a
        state that the world does not have.

    Notes
    -----
    Era by era (`forecast.features.positions`), features with the same look-back together, so that
    what they share is computed once and only the states of the time take part.
    """
    panel = as_panel(panel, "compute_features(panel, …)")
    requests = _checked(requests)
    seen: dict[str, tuple[str, str, str]] = {}
    for request in requests:
        if seen.setdefault(request.name, request.made) != request.made:
            raise ArgumentError(f"column {request.name!r} is requested twice, differently")
    wanted = [r for r in requests if not _is_there(panel, r)]
    if not wanted:
        return panel
    if panel.world is None:
        raise DataError(
            f"column {wanted[0].name!r} (feature {wanted[0].feature!r}) is not in the panel, and "
            "a panel of a file or a frame has no alliances to compute it from (forecast.attach "
            "puts features on a frame); "
            f"columns found: {', '.join(map(str, panel.data.data_vars))}"
        )
    lagged = panel.data["year"].to_numpy() - panel.lag
    if panel.unit == "alliance-year":
        from forecast.features.treaty import member_columns  # whose panels have a request's columns

        columns = member_columns(panel, wanted)
    else:
        columns = _of_rows(panel, wanted, threads)
    made = {
        r.name: (
            "row",
            columns[r.name],
            {**r.attrs, "covers": covered(columns[r.name], lagged)},
        )
        for r in wanted
    }
    return panel.with_data(panel.data.assign(made))


def _of_rows(
    panel: Panel, wanted: Sequence[FeatureRequest], threads: int | None
) -> dict[str, Float64Array]:
    """Columns of states or pairs, era by era."""
    groups: dict[int | None, list[FeatureRequest]] = {}
    for request in wanted:
        _check_unit(request, panel.unit)
        groups.setdefault(request.spec.lookback(request.options), []).append(request)
    assert panel.world is not None
    world = ordered(panel.world)
    rows = Positions.of(panel, world)
    needed, member = rows.needed(world.sizes["year"]), world["member"].to_numpy()
    columns = {r.name: np.full(panel.data.sizes["row"], np.nan) for r in wanted}

    def fill(lookback: int | None, era: slice) -> None:
        near, inside = rows.within(world, era, lookback)
        computed: dict[str, np.ndarray] = {}
        with sharing():
            for r in groups[lookback]:
                if r.key not in computed:
                    computed[r.key] = r.spec.plain(near, **r.options)
                values = inside.values(computed[r.key], r.spec.level, r.side)
                columns[r.name][inside.rows] = values

    # The long ones first, so that the threads end together.
    tasks = [(lookback, era) for lookback in groups for era in eras(needed, member, lookback)]
    in_threads(fill, sorted(tasks, key=lambda task: -task[1].stop), threads=threads)
    for request in wanted:
        if request.at_entry == "current":
            _fill_entries(panel, request, columns[request.name])
    return columns


def _fill_entries(panel: Panel, request: FeatureRequest, column: Float64Array) -> None:
    """Write the values of the year itself where a state was not in the system the year before."""
    assert panel.world is not None
    world = ordered(panel.world)
    gaps = np.flatnonzero(np.isnan(column))
    bare = panel.data.drop_vars(list(panel.data.data_vars))
    part = panel.with_data(bare.isel(row=gaps))
    before, now = Positions.of(part, world), Positions.of(_unlagged(part), world)
    member = world["member"].to_numpy()

    def inside(at: Positions) -> npt.NDArray[np.bool_]:
        found = np.zeros(gaps.size, dtype=bool)
        found[at.rows] = np.all([member[at.year, side] for side in at.sides], axis=0)
        return found

    entering = inside(now) & ~inside(before)
    if not entering.any():
        return
    first = _unlagged(part.with_data(part.data.isel(row=entering)))
    current = replace(request, at_entry="missing")
    values = compute_features(first, [current]).data[request.name].to_numpy()
    column[gaps[entering]] = values


def _unlagged(panel: Panel) -> Panel:
    twin = copy(panel)  # not `replace`, which would read the tables
    object.__setattr__(twin, "lag", 0)
    return twin


def _check_unit(request: FeatureRequest, unit: str) -> None:
    level = request.spec.level
    if unit == "state-year":
        if level in ("dyad", "directed"):
            raise ArgumentError(
                f"column {request.name!r}: feature {request.feature!r} is about pairs of states "
                "and has no value in a state-year panel"
            )
        if request.side != "none":
            raise ArgumentError(
                f"column {request.name!r}: a state-year row has one side; side must be 'none', "
                f"found {request.side!r}"
            )
    elif level == "state" and request.side == "none":
        raise ArgumentError(
            f"column {request.name!r}: feature {request.feature!r} has one value for each side "
            "of a dyad; side must be one of a, b, sum, mean, min, max, product, absdiff"
        )


def _is_there(panel: Panel, request: FeatureRequest) -> bool:
    if request.name not in panel.data.data_vars:
        return False
    recorded = panel.data[request.name].attrs
    same = all(recorded.get(k, v) == v for k, v in request.attrs.items())
    if same or panel.world is not None:
        return same
    raise ArgumentError(
        f"column {request.name!r} was made with feature {recorded.get('feature')!r}, options "
        f"{recorded.get('options')}, side {recorded.get('side')!r} and at_entry "
        f"{recorded.get('at_entry')!r}; it cannot be made anew from a panel read from a file"
    )
