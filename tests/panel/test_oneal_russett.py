"""A finished panel as analysts bring one (Oneal and Russett 2001), from file to hierarchical fit.

Our features go beside theirs, and the fit is held against an independent one of the same
likelihood and priors: the effects of pairs integrated out on a grid, the mode
and the curvature of what is left by scipy.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from support.modeling_panels import term, varying

import forecast as fc
from forecast.modeling.spec import ModelSpec
from forecast.panel.from_frame import panel_from_frame

pytestmark = pytest.mark.reference

THEIRS = ("allies", "smldmat", "smldep", "lcaprat2", "noncontg", "logdstab", "minrpwrs")
OURS = ("peace_years", "portfolio_similarity")


@pytest.fixture(scope="module")
def frame(reference) -> pd.DataFrame:
    frame = pd.read_stata(reference / "official/replication/oneal_russett_2001.dta")
    frame["smldmat"] = frame[["demauta", "demautb"]].min(axis=1)
    frame["smldep"] = frame[["dependa", "dependb"]].min(axis=1)
    return frame


@pytest.fixture(scope="module")
def panel(frame, historical):
    # a row of year t has the outcome of t + 1: its features are those of t
    both = fc.attach(frame, OURS, a="statea", b="stateb", lag=0, data=historical)
    return panel_from_frame(both, outcome="dispute1", a="statea", b="stateb", lead=1)


def spec() -> ModelSpec:
    terms = [term(name, missing="drop") for name in (*THEIRS, *OURS)]
    return ModelSpec.from_dict(
        {
            "name": "oneal_russett",
            "description": "Their terms and ours.",
            "unit": "dyad-year",
            "population": "politically_relevant",
            "outcome": "dispute1",
            "under_way": "stratum",
            "intercept": {"reason": "test"},
            "term": terms,
            "varying": [varying("dyad", 1.0)],
        }
    )


def test_the_outcome_is_that_of_the_year_after(frame, historical):
    """Disputes under way in t + 1, not in t: told by every dispute on record."""
    table = historical.conflicts
    first, last = (table[end].dt.year.to_numpy() for end in ("start", "end"))
    spans = np.minimum(np.nan_to_num(last, nan=2000), 2000).astype(int) - first + 1
    year = np.concatenate([np.arange(f, f + n) for f, n in zip(first, spans, strict=True)])
    pairs = [np.repeat(table[side].to_numpy(), spans) for side in ("ccode_a", "ccode_b")]
    disputes = set(zip(*pairs, year, strict=True))
    agree = {}
    for lead in (0, 1, 2):
        keys = zip(frame["statea"], frame["stateb"], frame["year"] + lead, strict=True)
        there = np.array([key in disputes for key in keys])
        agree[lead] = float(np.corrcoef(there, frame["dispute1"])[0, 1])
    assert agree[1] > 0.8 > 0.6 > max(agree[0], agree[2]), agree


def independent(panel) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Mode and s.d. of intercept, coefficients and log s.d. of the effects of pairs."""
    rows = panel.to_dataframe().dropna(subset=[*THEIRS, *OURS])
    y = rows["outcome"].to_numpy()
    columns = []
    for name in (*THEIRS, *OURS):
        x = rows[name].to_numpy()
        columns.append((x - x.mean()) / (1 if set(np.unique(x)) <= {0.0, 1.0} else 2 * x.std()))
    X = np.column_stack([np.ones(len(y)), *columns])
    pair = rows.groupby(["ccode_a", "ccode_b"], sort=True).ngroup().to_numpy()
    nodes = np.arange(-5, 5.1, 0.2)  # the trapezoidal rule: exact for what is smooth at its step
    log_weights = -0.5 * nodes**2 - logsumexp(-0.5 * nodes**2)
    sign = 2 * y - 1
    centre = np.r_[np.log(y.mean() / (1 - y.mean())), np.zeros(len(columns))]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        beta, sigma = theta[:-1], np.exp(theta[-1])
        eta = sign[:, None] * ((X @ beta)[:, None] + sigma * nodes)
        each = -np.logaddexp(0, -eta)
        per_pair = np.stack([np.bincount(pair, column) for column in each.T], axis=1)
        joint = per_pair + log_weights
        total = logsumexp(joint, axis=1)
        share = np.exp(joint - total[:, None])[pair]  # of the nodes, for each row
        slope = share * sign[:, None] * expit(-eta)
        gradient = np.r_[X.T @ slope.sum(axis=1), sigma * (slope @ nodes).sum()]
        # Normal(·, 1) priors; sigma ~ HalfNormal(1), whose density in log sigma has the Jacobian
        gap = beta - centre
        value = total.sum() - 0.5 * gap @ gap - 0.5 * sigma**2 + theta[-1]
        gradient -= np.r_[gap, sigma**2 - 1]
        return -value, -gradient

    best = minimize(loss, np.r_[centre, 0.0], jac=True, method="BFGS", options={"gtol": 1e-1}).x
    step = 1e-4
    hessian = np.array(
        [
            (loss(best + step * e)[1] - loss(best - step * e)[1]) / (2 * step)
            for e in np.eye(best.size)
        ]
    )
    sd = np.sqrt(np.diag(np.linalg.inv((hessian + hessian.T) / 2)))
    return best, sd, ["intercept", *THEIRS, *OURS]


def test_fit_with_our_features_beside_theirs(panel):
    assert panel.data.sizes["row"] == 39_996
    assert panel.to_dict()["years"] == [1886, 1992]
    fit = fc.fit(spec(), panel, seed=1, draws=1000)
    mode, sd, names = independent(panel)
    beta = fit.posterior["posterior"]["beta"].sel(chain=0)
    sigma = fit.posterior["posterior"]["sigma_dyad"].sel(chain=0).to_numpy()
    draws = np.column_stack([*(beta.sel(term=n).to_numpy() for n in names), np.log(sigma)])
    gap = np.abs(draws.mean(axis=0) - mode) / sd
    # a mean against a mode: the s.d. of the effects is a little skewed, and draws the rest along
    assert gap.max() < 0.35, dict(zip([*names, "log sigma"], gap.round(3), strict=True))
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.15)
    # the less, the more democratic the less democratic one is, and the longer they are at peace
    assert beta.sel(term="smldmat").mean() < 0 > beta.sel(term="peace_years").mean()
    assert fit.gate().passed, fit.gate().failures
