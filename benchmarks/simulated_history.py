"""Panels simulated year by year from a truth: each onset enters the history of its own unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import expit

from forecast.inference.predict import design_predictor
from forecast.inference.row_likelihood import unit_index
from forecast.modeling.design import Design
from forecast.modeling.encoding import Encoding

__all__ = ["HISTORY", "simulated_history"]

FloatArray = npt.NDArray[np.float64]

HISTORY = ("peace_years", "dispute_last_year", "disputes_total", "disputes_recent")
"""Terms that are made anew; `peace_years` must be among those of the model."""


def simulated_history(
    design: Design,
    encoding: Encoding,
    data: xr.Dataset,
    beta: FloatArray,
    effects: Mapping[str, FloatArray],
    rng: np.random.Generator,
) -> xr.Dataset:
    """Outcomes of a truth year by year, each onset entering the history of its own unit.

    Terms of `HISTORY` are made anew from the simulated onsets, from what the first row of a unit
    says on; onsets before it leave a window of ten years after five. All other columns and the
    rows at risk stay: given the past, an outcome is still a draw from its probability, so that
    the model is true.

    Parameters
    ----------
    design : Design
        Of the rows of `data`, in their order.
    encoding : Encoding
        How its columns were made.
    data : xarray.Dataset
        Rows with the columns of the terms.
    beta : numpy.ndarray, shape (p,)
        Coefficients of the truth.
    effects : mapping of str to numpy.ndarray, shape (m,)
        Its effects, by block.
    rng : numpy.random.Generator

    Returns
    -------
    xarray.Dataset
        `data` with simulated outcome and histories.
    """
    terms = [name for name in HISTORY if name in encoding.term_slices]
    raw = {name: np.array(data[name].to_numpy(), dtype=np.float64) for name in terms}
    places = {name: encoding.term_slices[name] for name in terms}
    moving = np.concatenate([places[name] for name in terms])
    still = np.setdiff1d(np.arange(beta.size), moving)
    eta = design_predictor(
        replace(design, X=design.X[:, still], names=tuple(design.names[i] for i in still),
                prior_mean=design.prior_mean[still], prior_sd=design.prior_sd[still]),
        beta[still], effects,
    )  # fmt: skip
    unit = unit_index(data)
    year = data["year"].to_numpy().astype(np.int64)
    size, first = int(unit.max()) + 1, int(year.min())
    begun = np.full(size, -1)
    last, total, recent = np.zeros(size), np.zeros(size), np.zeros(size)
    onset = np.zeros((int(year.max()) - first + 1, size))
    y = np.zeros(year.size)
    for now in np.unique(year):
        rows = np.flatnonzero(year == now)
        u = unit[rows]
        new, mine = rows[begun[u] < 0], u[begun[u] < 0]
        begun[mine] = now
        last[mine] = now - 1 - raw["peace_years"][new]
        if "disputes_total" in raw:
            total[mine] = raw["disputes_total"][new]
        if "disputes_recent" in raw:
            recent[mine] = raw["disputes_recent"][new]
        since = max(0, now - first - 10)
        values = {
            "peace_years": now - 1 - last[u],
            "dispute_last_year": (last[u] == now - 1).astype(np.float64),
            "disputes_total": total[u] + onset[:, u].sum(axis=0),
            "disputes_recent": onset[since:, u].sum(axis=0) + recent[u] * (now - begun[u] < 5),
        }
        for name in terms:
            raw[name][rows] = values[name]
            eta[rows] += encoding.columns(name, values[name]) @ beta[places[name]]
        y[rows] = rng.random(rows.size) < expit(eta[rows])
        hit = u[y[rows] == 1.0]
        onset[now - first, hit] = 1.0
        last[hit] = now
    made = {name: ("row", value) for name, value in raw.items()}
    return data.assign({**made, "outcome": ("row", y)})
