"""Effects of years: what all rows of a year share, and what a year to come is drawn from."""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.inference.fit import fit
from forecast.inference.predict import predict
from forecast.modeling.design import encode
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel

SPEC = ModelSpec.from_dict(
    {
        "name": "years",
        "description": "Years that differ.",
        "unit": "dyad-year",
        "population": "politically_relevant",
        "intercept": {"reason": "test"},
        "varying": [{"name": "year", "scale": {"sd": 1.0}, "reason": "test"}],
    }
)
FIRST, YEARS, PAIRS = 1950, 40, 60


def years() -> Panel:
    rng = np.random.default_rng(8)
    shock = rng.normal(0, 0.8, YEARS)
    a, year = (v.ravel() for v in np.meshgrid(np.arange(PAIRS), np.arange(YEARS)))
    p = 1 / (1 + np.exp(1.5 - shock[year]))
    data = xr.Dataset(
        {"outcome": ("row", (rng.random(p.size) < p).astype(float))},
        coords={
            "year": ("row", FIRST + year),
            "ccode_a": ("row", 2 + a),
            "ccode_b": ("row", 200 + a),
        },
    )
    return Panel(data, None, None, "dyad-year", "politically_relevant", "onset", 1, "hand")


def test_every_year_has_an_effect_that_its_rows_share():
    design, encoding = encode(SPEC, years())
    (block,) = design.blocks
    assert (block.name, block.structure) == ("year", "iid")
    assert block.levels.tolist() == [str(FIRST + y) for y in range(YEARS)]
    assert block.matrix.sum(axis=0).tolist() == [PAIRS] * YEARS
    assert encoding.blocks[0].apply(design.rows, design.X, design.names).unknown_levels == ()


def test_totals_of_years_to_come_are_as_wide_as_years_have_differed():
    panel = years()
    fitted = fit(SPEC, panel, seed=1, draws=2000)
    scale = fitted.posterior["posterior"]["sigma_year"].to_numpy()
    assert 0.5 < scale.mean() < 1.2  # .8 in truth
    ahead = panel.data.isel(row=slice(0, 2 * PAIRS)).copy()
    ahead = ahead.assign_coords(year=("row", np.repeat([1990, 1991], PAIRS)))
    p = predict(fitted, panel.with_data(ahead), seed=2).to_numpy()
    logit = np.log(p / (1 - p))
    one, other = logit[:, 0], logit[:, PAIRS]
    np.testing.assert_allclose(logit[:, :PAIRS], one[:, None] + np.zeros(PAIRS), rtol=1e-4)
    assert np.std(one - other) > 1.2 * scale.mean()  # two independent years: sqrt(2)
    # 90% intervals of totals hold about nine in ten of the years seen.
    rng = np.random.default_rng(3)
    low, high = np.quantile(rng.binomial(PAIRS, p[:, 0]), [0.05, 0.95])
    totals = panel.data["outcome"].to_numpy().reshape(PAIRS, YEARS).sum(axis=0)
    assert 0.8 <= np.mean((totals >= low) & (totals <= high)) <= 1.0
