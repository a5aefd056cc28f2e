"""Depth of treaties as one latent trait behind the peacetime provisions they have or lack.

A two-parameter logistic model, P(y_pm = 1) = 1 / (1 + exp(−(a_m θ_p + b_m))), θ_p ~ Normal(0, 1):
the depth θ_p of treaty p makes every provision m more likely, each to its own degree. Benson &
Clinton 2016 and Alley 2021 measure depth so, with the provisions that ATOP codes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.panel.window import Variable, Window

__all__ = ["DESIGN_ITEMS", "latent_depth", "treaty_design"]

Float64Array = npt.NDArray[np.float64]

#: Provisions in the order of the `item` dimension. The first five are in every data set, the
#: others in its table `treaty_design`, if it has one.
DESIGN_ITEMS: tuple[str, ...] = (
    "integrated_command",
    "military_coordination",
    "basing",
    "military_aid",
    "organization",
    "subordination",
    "contribution",
    "companion_agreements",
)
_ALWAYS = 5

#: Grid over θ: the Normal(0, 1) prior has 1e−8 of its mass outside it.
_GRID = np.linspace(-5.5, 5.5, 111)
_PRIOR = np.exp(-0.5 * _GRID**2) / np.exp(-0.5 * _GRID**2).sum()
#: Weak priors of a and b (mean, standard deviation). That of a fixes which end is deep, and
#: keeps an item that separates the treaties perfectly from an infinite slope.
_SLOPE, _INTERCEPT = (1.0, 1.0), (0.0, 3.0)
_FEWEST_ITEMS = 3


def treaty_design(window: Window) -> dict[str, Variable]:
    """``treaty_design`` and ``treaty_latent_depth``.

    Parameters
    ----------
    window : Window
        Axes of the world. All treaties of the data set take part, whatever the years.

    Returns
    -------
    dict
        ``treaty_design`` (treaty, item) float32: 1 if the treaty has the provision, 0 if not, NaN
        if that is not coded. ``treaty_latent_depth`` (treaty) float32: see `latent_depth`.
    """
    treaties = window.tables.alliances
    coded = pd.DataFrame({name: treaties[name].to_numpy() for name in DESIGN_ITEMS[:_ALWAYS]})
    coded = coded.astype(float).reindex(columns=DESIGN_ITEMS)
    if (table := window.tables.extra.get("treaty_design")) is not None:
        more = table.set_index("alliance_id").reindex(treaties["alliance_id"])
        for name in DESIGN_ITEMS[_ALWAYS:]:
            coded[name] = more[name].to_numpy(dtype=np.float64, na_value=np.nan)
    items = coded.to_numpy(dtype=np.float64)
    return {
        "treaty_design": (("treaty", "item"), items.astype(np.float32)),
        "treaty_latent_depth": (("treaty",), latent_depth(items).astype(np.float32)),
    }


def latent_depth(items: Float64Array, *, tolerance: float = 1e-6) -> Float64Array:
    """Expected depth of each treaty under the two-parameter logistic model.

    The parameters of the items are their posterior mode (EM over a grid of θ, Bock & Aitkin
    1981, with weak normal priors), so the values are the same every time. A provision that is
    not coded for a treaty says nothing about it; one that all treaties have, or none, says
    nothing at all.

    Parameters
    ----------
    items : numpy.ndarray, shape (treaty, item)
        0, 1 or NaN.
    tolerance : float
        Largest change of a parameter at which the EM algorithm stops.

    Returns
    -------
    numpy.ndarray, shape (treaty,)
        Posterior means of θ, standardised to mean 0 and standard deviation 1 over the treaties;
        NaN for a treaty without any coded provision, and for all where fewer than three
        provisions tell treaties apart (one factor is not identified then).
    """
    some = ~np.isnan(items).all(axis=1)
    known = items[some]
    varies = np.array([np.unique(x[~np.isnan(x)]).size == 2 for x in known.T], dtype=bool)
    out = np.full(len(items), np.nan)
    if varies.sum() < _FEWEST_ITEMS:
        return out
    # Treaties with the same provisions have the same depth: count the patterns.
    patterns, which, number = np.unique(
        known[:, varies], axis=0, return_inverse=True, return_counts=True, equal_nan=True
    )
    has, lacks = (np.nan_to_num(patterns == value) for value in (1.0, 0.0))
    has, lacks = has.astype(np.float64), lacks.astype(np.float64)
    slope = np.full(has.shape[1], _SLOPE[0])
    share = (has * number[:, None]).sum(axis=0) / ((has + lacks) * number[:, None]).sum(axis=0)
    intercept = np.log(share / (1 - share))
    for _ in range(2000):
        posterior = _posterior(has, lacks, slope, intercept)
        weight = posterior * number[:, None]
        new = _fit_items(has.T @ weight, lacks.T @ weight, slope, intercept)
        change = max(np.abs(new[0] - slope).max(), np.abs(new[1] - intercept).max())
        slope, intercept = new
        if change < tolerance:
            break
    theta = (_posterior(has, lacks, slope, intercept) @ _GRID)[which.reshape(-1)]
    spread = theta.std()
    out[some] = (theta - theta.mean()) / spread if spread > 0 else np.nan
    return out


def _log_chances(slope: Float64Array, intercept: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Log-probabilities of having and of lacking each item, (item, grid)."""
    linear = slope[:, None] * _GRID + intercept[:, None]
    return -np.logaddexp(0, -linear), -np.logaddexp(0, linear)


def _posterior(
    has: Float64Array, lacks: Float64Array, slope: Float64Array, intercept: Float64Array
) -> Float64Array:
    """Probability of each point of the grid given a pattern, (pattern, grid)."""
    yes, no = _log_chances(slope, intercept)
    logs = has @ yes + lacks @ no
    found = np.exp(logs - logs.max(axis=1, keepdims=True)) * _PRIOR
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _fit_items(
    yes: Float64Array, no: Float64Array, slope: Float64Array, intercept: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """One Newton step from the mode of the last round; all items at once.

    Parameters
    ----------
    yes, no : numpy.ndarray, shape (item, grid)
        Expected numbers of treaties with and without the item at each depth.
    slope, intercept : numpy.ndarray, shape (item,)
    """
    total = yes + no
    chance = np.exp(_log_chances(slope, intercept)[0])
    error, curve = yes - total * chance, total * chance * (1 - chance)
    (mean_a, sd_a), (mean_b, sd_b) = _SLOPE, _INTERCEPT
    grad_a = error @ _GRID - (slope - mean_a) / sd_a**2
    grad_b = error.sum(axis=1) - (intercept - mean_b) / sd_b**2
    aa = curve @ _GRID**2 + sd_a**-2
    ab, bb = curve @ _GRID, curve.sum(axis=1) + sd_b**-2
    determinant = aa * bb - ab**2
    step_a = (bb * grad_a - ab * grad_b) / determinant
    step_b = (aa * grad_b - ab * grad_a) / determinant
    # A long step of Newton's may overshoot where the curve is flat.
    return slope + np.clip(step_a, -1, 1), intercept + np.clip(step_b, -1, 1)
