"""The years ahead: the world carried forward, capabilities drawn forward, rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.draws import Stream, generator
from forecast.errors import ArgumentError
from forecast.features.gather import FeatureRequest, compute_features
from forecast.features.registry import get_feature
from forecast.panel.build import future_panel
from forecast.panel.world import build_world
from forecast.simulation.dynamics import is_simulated

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.covariates import ColumnCode
    from forecast.sources.tables import Tables

__all__ = ["CONFLICT_VARIABLES", "Future", "capability_paths", "freeze_conflicts", "prepare_future"]

#: Years from which the joint changes of capability shares are resampled.
_CHANGES = 20

#: Variables of the world that hold what happened; never carried forward.
CONFLICT_VARIABLES = (
    "onset",
    "dispute",
    "open",
    "initiated",
    "at_risk",
    "onset_unknown",
    "initiator_unknown",
    "onset_count",
    "dispute_onset_count",
    "episodes",
    "conflict_covered",
)


@dataclass(frozen=True, eq=False)
class Future:
    """What is fixed before conflicts are simulated.

    `rows`: ``ccode_a``, ``ccode_b`` of the R dyads at risk; year h of the forecast is ``origin +
    h``. `X` (paths, horizon, R, p): design columns; zero in the columns of simulated terms and of
    interactions with one. `world`: carried forward (last capability known), for pacts and
    membership. `complete` (R,): rows that have every feature that the model may not miss. `raw`
    (horizon, R) by name: raw values of the terms that are not simulated (of the last path).
    """

    rows: xr.Dataset
    origin: int
    X: npt.NDArray[np.float32]
    world: xr.Dataset
    complete: npt.NDArray[np.bool_]
    raw: Mapping[str, npt.NDArray[np.floating]]

    def where(self, keep: npt.NDArray[np.bool_]) -> Future:
        """The same of some rows."""
        raw = {name: values[:, keep] for name, values in self.raw.items()}
        rows = self.rows.isel(row=keep)
        return replace(self, rows=rows, X=self.X[:, :, keep], complete=self.complete[keep], raw=raw)


def capability_paths(
    world: xr.Dataset, *, origin: int, horizon: int, paths: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Capability shares drawn forward, shape (paths, horizon, state).

    Year ``origin`` is the first entry of the second axis. Each later year takes the joint
    change of all log shares in a year drawn at random from the last 20 of the record, which
    keeps growth, its spread and its correlation between states, and rescales to the old sum.
    """
    record = world["capability"].sel(year=slice(origin - _CHANGES, origin)).to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.diff(np.log(record), axis=0)
    change = np.where(np.isfinite(change), change, 0.0)
    last = record[-1]
    total = np.nansum(last)
    out = np.empty((paths, horizon, last.size))
    out[:, 0] = last
    for h in range(1, horizon):
        year = rng.integers(0, len(change), size=paths)
        moved = out[:, h - 1] * np.exp(change[year])
        out[:, h] = moved * (total / np.nansum(moved, axis=1, keepdims=True))
    return out


def prepare_future(
    fit: Fit,
    tables: Tables,
    *,
    rows: xr.Dataset | None,
    origin: int,
    horizon: int,
    paths: int,
    seed: int,
) -> Future:
    """Rows and design columns of every year ahead, for one alliance graph.

    `tables` have the scenario's edits if there are any; `rows` are the dyads, None for the fit's
    population in the first year ahead. The `paths` of capabilities are the same in every scenario
    of one seed. Features that need conflicts and are not simulated (rivals, commitments owed at
    risk) keep their windows as they were at the origin, over the alliances of the future year.
    """
    spec = fit.spec
    if (spec.unit, spec.lag, spec.outcome) != ("dyad-year", 1, "onset"):
        raise ArgumentError(
            f"Model {spec.name!r} is of unit {spec.unit!r}, lag {spec.lag} and outcome"
            f" {spec.outcome!r}; simulation and risk need unit 'dyad-year', lag 1 and outcome"
            " 'onset' (whose simulated events are the history of the next year), as in"
            " 'dyad_onset'."
        )
    groups = _groups(fit)
    begin = min(c.first for c in tables.coverage.values())
    since = {name: _since(group, origin, begin) for name, group in groups.items()}
    first = max(min([origin - _CHANGES, *since.values()]), begin)
    world = build_world(
        tables,
        first_year=first,
        last_year=origin + horizon,
        carry_forward=True,
        succession=fit.spec.succession,
    )
    if rows is None:
        ahead_panel = future_panel(replace(fit.panel, tables=tables), year=origin + 1)
        names = ["ccode_a", "ccode_b"]
        rows = xr.Dataset(coords={name: ahead_panel.data[name] for name in names})
    frame = _frame(rows, origin, horizon)

    def columns(
        world: xr.Dataset, group: str, frame: xr.Dataset = frame
    ) -> dict[str, npt.NDArray[np.floating]]:
        near = world.sel(year=slice(since[group], None))
        panel = replace(fit.panel, data=frame, world=near, lag=fit.spec.lag)
        found = compute_features(panel, _requests(groups[group])).data
        return {code.name: found[code.name].to_numpy() for code in groups[group]}

    raw = columns(world, "fixed")
    if groups["frozen"]:
        frozen = [
            columns(
                freeze_conflicts(world.sel(year=slice(None, origin + h)), h),
                "frozen",
                frame.isel(row=frame["year"].to_numpy() == origin + 1 + h),
            )
            for h in range(horizon)
        ]
        raw |= {name: np.concatenate([part[name] for part in frozen]) for name in frozen[0]}
    rng = generator(seed, Stream.CAPABILITIES)
    shares = capability_paths(world, origin=origin, horizon=horizon, paths=paths, rng=rng)
    years = world["year"].to_numpy()
    ahead = (years >= origin) & (years < origin + horizon)
    count = rows.sizes["row"]
    X = np.zeros((paths, horizon, count, len(fit.encoding.names)), dtype=np.float32)
    complete = np.ones(count, dtype=bool)
    for k in range(paths):
        share = world["capability"].to_numpy().copy()
        share[ahead] = shares[k]
        raw |= columns(world.assign(capability=(("year", "state"), share)), "path")
        complete &= _fill(X[k], fit, [code for group in groups.values() for code in group], raw)
    by_year = {name: values.reshape(horizon, count) for name, values in raw.items()}
    return Future(rows=rows, origin=origin, X=X, world=world, complete=complete, raw=by_year)


def _fill(
    X: npt.NDArray[np.float32],
    fit: Fit,
    codes: list[ColumnCode],
    raw: Mapping[str, npt.NDArray[np.floating]],
) -> npt.NDArray[np.bool_]:
    """Design columns of one path, (horizon, R, p), put into X; which rows lack no needed value."""
    horizon, count = X.shape[:2]
    X[..., 0] = 1.0
    complete = np.ones(count, dtype=bool)
    slices = fit.encoding.term_slices
    for code in codes:
        encoded = code(raw[code.name])
        if code.missing != "indicator":
            complete &= ~np.isnan(raw[code.name]).reshape(horizon, count).any(axis=0)
            encoded = np.nan_to_num(encoded)
        X[..., slices[code.name]] = encoded.reshape(horizon, count, -1)
    live = {code.name for code in fit.encoding.terms if is_simulated(code)}
    for product in fit.encoding.interactions:
        if not live & set(product.of):
            X[..., slices[product.name]] = product(X, fit.encoding.names)
    return complete


def _groups(fit: Fit) -> dict[str, list[ColumnCode]]:
    """Terms that no simulated conflict changes, by what changes them.

    ``path``: drawn capabilities. ``frozen``: conflicts, which stay as at the origin. ``fixed``:
    neither.
    """
    groups: dict[str, list[ColumnCode]] = {"path": [], "frozen": [], "fixed": []}
    for code in fit.encoding.terms:
        if not is_simulated(code):
            needs = get_feature(str(code.feature)).needs
            kind = "frozen" if "conflict" in needs else "path" if "capability" in needs else "fixed"
            groups[kind].append(code)
    return groups


def _since(codes: list[ColumnCode], origin: int, begin: int) -> int:
    """First year that the values of some terms at the origin depend on, and one before it."""
    years = [origin - 2]
    for code in codes:
        reach = get_feature(str(code.feature)).lookback(dict(code.options))
        years.append(begin if reach is None else origin - reach - 1)
    return min(years)


def _frame(rows: xr.Dataset, origin: int, horizon: int) -> xr.Dataset:
    """Rows of every year ahead, year by year."""
    count = rows.sizes["row"]
    return xr.Dataset(
        coords={
            "year": ("row", np.repeat(np.arange(origin + 1, origin + horizon + 1), count)),
            "ccode_a": ("row", np.tile(rows["ccode_a"].to_numpy(), horizon)),
            "ccode_b": ("row", np.tile(rows["ccode_b"].to_numpy(), horizon)),
        }
    )


def _requests(codes: list[ColumnCode]) -> list[FeatureRequest]:
    return [
        FeatureRequest(
            name=code.name,
            feature=str(code.feature),
            options=dict(code.options),
            side=code.side,
            at_entry=code.at_entry,
        )
        for code in codes
    ]


def freeze_conflicts(world: xr.Dataset, years: int) -> xr.Dataset:
    """World whose record of conflicts ends `years` later, each event moved by as much."""
    if years == 0:
        return world
    moved = {}
    for name in CONFLICT_VARIABLES:
        if name not in world:
            continue
        variable = world[name]
        values = np.zeros_like(variable.to_numpy())
        values[years:] = variable.to_numpy()[:-years]
        moved[name] = (variable.dims, values)
    return world.assign(moved)
