"""Alliance multiple membership: which treaties a state-year belongs to, and their features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import xarray as xr

from forecast.arrays import FloatArray
from forecast.errors import ArgumentError, CoverageError, DataError, SpecificationError, nearest
from forecast.modeling.blocks import RowBlock, describe
from forecast.modeling.covariates import Code, location_scale, transform
from forecast.modeling.terms import AllianceLevel

__all__ = ["AllianceCode", "fit_alliance"]


@dataclass(frozen=True)
class AllianceCode(Code):
    """Treaty effects theta ~ Normal(X gamma, tau) as found at the fit.

    The part X gamma enters the design as one column per feature, ``alliance:<feature>``: the
    membership-weighted sum of the treaties' standardised features. The deviations are the
    iid block ``alliance``.
    """

    lag: int  # years between the treaty's features and the row
    weights: str  # "share": 1 / number of treaties of the state that year; "one": 1
    options: tuple[tuple[str, Any], ...]  # of `forecast.features.treaty.treaty_features`
    features: tuple[str, ...]  # of treaties, with their transformations
    transforms: tuple[str, ...]
    missing: tuple[str, ...]  # what a missing value of each does
    #: Standardisation over the treaty-years behind the rows of the fit, weighted by membership.
    center: tuple[float, ...]
    scale: tuple[float, ...]
    levels: tuple[str, ...]  # treaty ids

    name: ClassVar[str] = "alliance"
    structure: ClassVar[Literal["iid"]] = "iid"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the design columns."""
        return tuple(f"alliance:{feature}" for feature in self.features)

    def apply(
        self, world: xr.Dataset | None, rows: xr.Dataset
    ) -> tuple[FloatArray, RowBlock, dict[str, int]]:
        """Columns of the treaty regression and weights on the treaty effects.

        `world` holds ``treaty_member`` (year, treaty, state), `rows` the coordinates ``year`` and
        ``ccode``. Returned are columns (n, features), weights, and by feature the number of
        treaty-years whose missing value was taken as the mean.
        """
        table = _treaties(world, self.options, self.features)
        weights = _membership(table, rows, self.lag, self.weights)
        treaties = table["treaty"].to_numpy().astype(str)
        features, imputed = self._features(table, rows)
        year = rows["year"].to_numpy() - self.lag
        columns = np.zeros((rows.sizes["row"], len(self.features)))
        for s, standardised in features.items():
            mine = np.flatnonzero(year == s)
            columns[mine] = weights[mine] @ standardised
        position = {name: place for place, name in enumerate(self.levels)}
        used = treaties[np.unique(weights.indices)].tolist()
        fresh = [treaty for treaty in used if treaty not in position]
        position |= {name: len(self.levels) + place for place, name in enumerate(fresh)}
        level = np.array([position.get(t, 0) for t in treaties], dtype=np.int64)
        full = sp.csr_array(
            (weights.data, level[weights.indices], weights.indptr),
            shape=(weights.shape[0], len(position)),
        )
        full.sort_indices()
        known, new = full[:, : len(self.levels)], full[:, len(self.levels) :]
        return columns, RowBlock(self.name, self.structure, known, new, tuple(fresh)), imputed

    def _features(
        self, table: xr.Dataset, rows: xr.Dataset
    ) -> tuple[dict[int, FloatArray], dict[str, int]]:
        """Standardised features by year, shape (treaty, feature), and what was imputed."""
        standardised: dict[int, FloatArray] = {}
        imputed: dict[str, int] = {}
        for s in np.unique(rows["year"].to_numpy() - self.lag):
            now = table.sel(year=s)
            active = now["in_force"].to_numpy()
            values = np.stack(
                [
                    transform(now[feature].to_numpy().astype(np.float64), kind)
                    for feature, kind in zip(self.features, self.transforms, strict=True)
                ],
                axis=1,
            )
            values = (values - np.asarray(self.center)) / np.asarray(self.scale)
            bad = ~np.isfinite(values) & active[:, None]
            for j in np.flatnonzero(bad.any(axis=0)):
                feature = self.features[j]
                if self.missing[j] == "error":
                    treaty = str(table["treaty"].to_numpy()[np.flatnonzero(bad[:, j])[0]])
                    raise DataError(
                        f"Treaty feature {feature!r} is missing for {treaty!r} in {int(s)}: "
                        'mend the data or set missing = "mean" for it'
                    )
                imputed[feature] = imputed.get(feature, 0) + int(bad[:, j].sum())
            standardised[int(s)] = np.where(active[:, None] & ~bad, values, 0.0)
        return standardised, imputed


def fit_alliance(
    level: AllianceLevel, world: xr.Dataset | None, rows: xr.Dataset, lag: int
) -> AllianceCode:
    """Levels and standardisation of the alliance-level regression.

    Raises `SpecificationError`: Unknown treaty feature, or one that is the same for every
    treaty-year.
    """
    options = tuple(sorted(level.options.items()))
    table = _treaties(world, options, tuple(f.feature for f in level.feature))
    weights = _membership(table, rows, lag, level.weights)
    used = np.unique(weights.indices)
    bare = AllianceCode(
        lag=lag,
        weights=level.weights,
        options=options,
        features=tuple(f.feature for f in level.feature),
        transforms=tuple(f.transform for f in level.feature),
        missing=tuple(f.missing for f in level.feature),
        center=(0.0,) * len(level.feature),
        scale=(1.0,) * len(level.feature),
        levels=tuple(table["treaty"].to_numpy().astype(str)[used].tolist()),
    )
    # Weighted by membership, so that the columns of the rows are centred and on the scale of
    # the other terms: a treaty of fifty states is behind more rows than one of two.
    lagged = rows["year"].to_numpy() - lag
    years = np.unique(lagged)
    used_weight = np.stack([weights[np.flatnonzero(lagged == s)].sum(axis=0) for s in years])
    behind = table.sel(year=years)
    center, scale = [], []
    for feature, kind in zip(bare.features, bare.transforms, strict=True):
        x = transform(behind[feature].to_numpy().astype(np.float64), kind)
        active = (used_weight > 0) & np.isfinite(x)
        if not active.any() or x[active].min() == x[active].max():
            raise SpecificationError(
                f"[alliance_level] feature {feature!r} is the same for every treaty-year"
            )
        mean, divisor = location_scale(x[active], used_weight[active])
        center.append(mean)
        scale.append(divisor)
    return replace(bare, center=tuple(center), scale=tuple(scale))


def _membership(table: xr.Dataset, rows: xr.Dataset, lag: int, kind: str) -> sp.csr_array:
    """Membership weights of the rows in treaties in force, shape (n, treaty)."""
    year = rows["year"].to_numpy() - lag
    years, states = table["year"].to_numpy(), table["state"].to_numpy()
    covered = years[table["covered"].to_numpy()]
    outside = ~np.isin(year, covered)
    if outside.any():
        raise CoverageError(
            f"A row of {int(year[outside][0]) + lag} needs the treaties of "
            f"{int(year[outside][0])}, but alliances are covered "
            + (f"{int(covered.min())}-{int(covered.max())}" if covered.size else "in no year")
        )
    code = rows["ccode"].to_numpy()
    place = np.searchsorted(states, code).clip(max=states.size - 1)
    if (absent := states[place] != code).any():
        raise DataError(
            f"Row {describe(rows, int(np.flatnonzero(absent)[0]))}: the state is not in the world"
        )
    member = table["member"].to_numpy()
    weights = sp.csr_array(member[np.searchsorted(years, year), place].astype(np.float64))
    if kind == "share":
        counts = np.diff(weights.indptr)
        weights.data = 1.0 / np.repeat(counts, counts)
    return weights


def _treaties(
    world: xr.Dataset | None, options: tuple[tuple[str, Any], ...], features: tuple[str, ...]
) -> xr.Dataset:
    """Treaty features with `in_force`, `member` (year, state, treaty) and `covered` (year)."""
    from forecast.features.treaty import treaty_features

    if world is None:
        raise ArgumentError(
            "The model has an [alliance_level], which needs the panel's world (who is in which "
            "treaty); this panel was read from a file without it"
        )
    table = treaty_features(world, **dict(options)).transpose("year", "treaty")
    for feature in features:
        if feature not in table or feature == "in_force":
            valid = [str(name) for name in table.data_vars if name != "in_force"]
            hint = nearest(feature, valid)
            raise SpecificationError(
                f"[alliance_level]: unknown treaty feature {feature!r}"
                + (f"; did you mean {hint!r}?" if hint else "")
                + f" Valid: {', '.join(valid)}."
            )
    member = world["treaty_member"].transpose("year", "state", "treaty") & table["in_force"]
    return table.assign(
        member=member.transpose("year", "state", "treaty"), covered=world["obligation_covered"]
    )
