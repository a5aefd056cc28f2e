"""What is known at an origin: training rows, target rows, features lagged to the horizon."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd

from forecast.errors import ArgumentError, CoverageError
from forecast.evaluation.baselines import unit_keys
from forecast.features import compute_features
from forecast.features.strata import NEW, STRATUM_COLUMNS, UNDER_WAY, stratum_of
from forecast.panel.types import Panel

__all__ = [
    "check_step",
    "panel_at_horizon",
    "target_panel",
    "target_rows",
    "training_panel",
    "with_strata",
]


def panel_at_horizon(panel: Panel, horizon: int) -> Panel:
    """The same rows with every feature lagged ``horizon - 1`` years more.

    Computed features are dropped (they are gathered again at the new lag), and so are the first
    rows, whose features would lie before the data.

    Raises
    ------
    ArgumentError
        For a horizon below 1, or one beyond 1 without a world to gather features from.
    """
    if horizon < 1:
        raise ArgumentError(f"A horizon is at least 1 year, found {horizon}.")
    if horizon == 1:
        return panel
    if panel.world is None:
        raise ArgumentError(
            f"Horizon {horizon} needs features lagged {panel.lag + horizon - 1} years, and this "
            "panel was read with its features already gathered; only horizon 1 can be scored."
        )
    lag = panel.lag + horizon - 1
    year = panel.data["year"].to_numpy()
    computed = [str(n) for n, v in panel.data.data_vars.items() if "feature" in v.attrs]
    late = panel.data.isel(row=year >= int(year.min()) + horizon - 1)
    return replace(panel, data=late.drop_vars(computed), lag=lag)


def with_strata(panel: Panel) -> Panel:
    """Panel with ``stratum_*`` columns, where its unit has them and they can be computed.

    ``stratum_first_year`` is the first year in which the pair is a row at all.
    """
    if panel.unit not in ("dyad-year", "directed-dyad-year"):
        return panel
    keys = unit_keys(panel)
    _, index = np.unique(keys, return_inverse=True)
    first = np.full(index.max() + 1 if keys.size else 0, np.iinfo(np.int64).max)
    np.minimum.at(first, index, panel.data["year"].to_numpy().astype(np.int64))
    panel = panel.with_data(panel.data.assign(stratum_first_year=("row", first[index])))
    if panel.world is not None:
        return compute_features(panel, STRATUM_COLUMNS)
    there = {c.name: panel.data[c.feature] for c in STRATUM_COLUMNS if c.feature in panel.data}
    if {"stratum_peace_years", "stratum_disputes"} <= set(there):
        return panel.with_data(panel.data.assign(there))
    return panel


def _known(panel: Panel) -> Panel:
    """Rows whose outcome is known."""
    return panel.with_data(panel.data.isel(row=np.isfinite(panel.data["outcome"].to_numpy())))


def training_panel(panel: Panel, origin: int, *, window: int | None = None) -> Panel:
    """Rows of the years before the origin, with a fingerprint of their own.

    Parameters
    ----------
    panel : Panel
        All rows.
    origin : int
        First year that is not known.
    window : int, optional
        Only so many years before the origin (sliding); all by default (expanding).
    """
    first = int(panel.data["year"].min()) if window is None else origin - window
    text = f"{panel.fingerprint}|lag={panel.lag}|before={origin}" + (
        f"|window={window}" if window is not None else ""
    )
    known = _known(panel.select_years(first, origin - 1))
    if "end_year" in known.data:
        # How far a dispute rose is known when it is over.
        over = known.data["end_year"].to_numpy() < origin
        known = known.with_data(known.data.isel(row=over))
    return replace(
        known,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
    )


def target_panel(panel: Panel, year: int) -> Panel:
    """Rows of one year whose outcome is known."""
    return _known(panel.select_years(year, year))


def check_step(panel: Panel, origin: int, horizon: int, *, window: int | None = None) -> bool:
    """Whether the step can be scored: an outcome is known in its target year.

    Raises
    ------
    CoverageError
        An origin without training rows; names the years that there are.
    """
    year = panel.data["year"].to_numpy()
    known = np.isfinite(panel.data["outcome"].to_numpy())
    first = int(year[known].min()) if known.any() else 0
    since = first if window is None else origin - window
    if not (known & (year < origin) & (year >= since)).any():
        raise CoverageError(
            f"Origin {origin} has no training rows: at horizon {horizon} the first year is {first}"
            + (f", and only {window} years before the origin are used." if window else ".")
        )
    return bool((known & (year == origin + horizon - 1)).any())


def target_rows(panel: Panel, origin: int, horizon: int) -> pd.DataFrame:
    """Keys, outcome and groups of the rows of a target year.

    ``stratum`` is ``"under way"`` (a dispute of the two was open on the last day before the
    origin), of the others ``"new dyad"`` (the pair was not a row in any year before the origin),
    and of the rest ``"first ever"`` (no onset between the two on record), ``"quiet"`` (one, but
    more than ten completed years of peace) or ``"recurrent"``, as known before the origin; those of
    pairs that are not politically relevant end in ``", remote"``. ``relevance`` is ``"relevant"``
    or ``"remote"``.
    ``continues``: a dispute under way on 1 January of the year goes on in it and no new one
    begins, so that it is no row by the field's convention.
    """
    data = panel.data
    keys = [n for n in ("year", "ccode", "ccode_a", "ccode_b") if n in data.coords]
    rows = pd.DataFrame({name: data[name].to_numpy() for name in keys})
    rows.insert(0, "horizon", horizon)
    rows.insert(0, "origin", origin)
    # Blocks of the bootstrap: the two directions of a pair share their disputes.
    rows["unit"] = unit_keys(panel, either_way=True)
    rows["outcome"] = data["outcome"].to_numpy().astype(np.float64)
    rows["decade"] = rows["year"] // 10 * 10
    if "stratum_peace_years" in data:
        peace = data["stratum_peace_years"].to_numpy()
        # Of rows without a world behind them nothing else is known.
        relevant = np.ones(peace.shape, dtype=bool)
        if "stratum_relevant" in data:
            relevant = data["stratum_relevant"].to_numpy() == 1
        known = stratum_of(peace, data["stratum_disputes"].to_numpy(), relevant=relevant)
        known = np.where(data["stratum_first_year"].to_numpy() >= origin, NEW, known)
        if "stratum_under_way" in data:
            known = np.where(data["stratum_under_way"].to_numpy() == 1, UNDER_WAY, known)
        rows["stratum"] = known
        rows["relevance"] = np.where(relevant, "relevant", "remote")
        rows["peace_years"] = peace
    if "continues" in data:
        rows["continues"] = data["continues"].to_numpy().astype(bool)
    if "region_a" in data and "region_b" in data:
        a, b = (data[name].to_numpy().astype(str) for name in ("region_a", "region_b"))
        rows["region"] = np.where(a == b, a, "between regions")
    elif "region" in data:
        rows["region"] = data["region"].to_numpy().astype(str)
    return rows
