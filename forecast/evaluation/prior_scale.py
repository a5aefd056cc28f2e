"""What the priors of a model say on the scale of probabilities, before any outcome is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from forecast.arrays import FloatArray
from forecast.draws import estimates, thinned
from forecast.errors import ArgumentError
from forecast.inference.predict import design_predictor, prior_draws
from forecast.modeling.covariates import ColumnCode
from forecast.modeling.design import Design, encode
from forecast.modeling.encoding import complete, raw_values
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.types import Panel

__all__ = ["prior_table"]

_ROWS = 2000  # of the rows of the model, evenly spaced: their mean is known to a few percent


def prior_table(
    model: ModelSpec | str | Path,
    panel: Panel | None = None,
    *,
    draws: int = 1000,
    seed: int = 1,
    level: float = 0.9,
) -> pd.DataFrame:
    """Base rate and each term's effect over its range, by draws of the priors.

    Parameters
    ----------
    model : ModelSpec, str or Path
        See `forecast.load_model`.
    panel : Panel, optional
        Rows of the model; by default those of the embedded data.
    draws, seed : int
        Draws of the priors, and their seed.
    level : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        ``term``, ``family``, ``end``, ``at``, ``mean``, ``median``, ``lower``, ``upper``,
        ``level``. The first row is the base rate, the mean probability of the rows of the model,
        with everything drawn; its ``at`` is the rate that was observed. Then for each term the
        probability where it is low and where it is high, ``at`` on its own scale, in an average row
        whose intercept is at its prior mean. Low and high are the 5% and 95% quantiles of its
        values; 0 and 1; or, where nine in ten rows are alike, their value and the median of others.
        Interactions and effects of groups count in the base rate only.

    Raises
    ------
    ArgumentError
        Fewer than 100 draws; a level that is not between 0 and 1.
    """
    if draws < 100 or not 0.0 < level < 1.0:
        raise ArgumentError(
            f"draws={draws}, level={level}: expected at least 100 and a number between 0 and 1."
        )
    spec = load_model(model)
    if panel is None:
        from forecast.panel.build import load_panel

        panel = load_panel(**spec.choices)
    panel = complete(panel, spec.entries)
    design, encoding = encode(spec, panel)
    prior = prior_draws(design, draws=draws, seed=seed)
    some = design.chosen(thinned(design.y.size, _ROWS))
    rate = expit(design_predictor(some, prior.beta, prior.effects)).mean(axis=1)
    rows = [{"term": "base rate", "family": "", "end": "", "at": float(design.y.mean())}
            | _summary(rate, level)]  # fmt: skip
    place = {name: j for j, name in enumerate(design.names)}
    for code in encoding.terms:
        columns = [place[name] for name in code.value_names]
        for end, at, x in _ends(code, raw_values(panel.data, code.name)) if columns else ():
            shift = prior.beta[:, columns] @ x
            rows.append(
                {"term": code.name, "family": spec.family_of(code.name), "end": end, "at": at}
                | _summary(expit(_average(design) + shift), level)
            )
    return pd.DataFrame(rows).assign(level=level)


def _average(design: Design) -> float:
    return float(design.prior_mean[0])


def _ends(code: ColumnCode, raw: FloatArray) -> list[tuple[str, float, FloatArray]]:
    """Where a term is low and where it is high, with its design columns there."""
    known = raw[~np.isnan(raw)]
    binary = bool(np.isin(known, (0.0, 1.0)).all())
    low, high = (0.0, 1.0) if binary else np.quantile(known, (0.05, 0.95)).tolist()
    if low == high:  # nine in ten rows are alike: against the middle of the others
        other = float(np.median(known[known != low]))
        low, high = min(low, other), max(low, other)
    k = len(code.value_names)
    return [(end, at, code(np.array([at]))[0, :k]) for end, at in (("low", low), ("high", high))]


def _summary(values: FloatArray, level: float) -> dict[str, float]:
    mean, lower, upper = estimates(values, level).tolist()
    return {"mean": mean, "median": float(np.median(values)), "lower": lower, "upper": upper}
