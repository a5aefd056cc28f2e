"""The summary of a fit: every coefficient, slope and scale once, by names, as drawn."""

from __future__ import annotations

import numpy as np
import pytest
from support.rich_model import rich_fit

from forecast.errors import ArgumentError


def test_every_parameter_is_there_once_with_its_draws(known_fit) -> None:
    table = known_fit.summary(level=0.8)
    assert table.index.is_unique and table.index.name == "name"
    posterior = known_fit.posterior["posterior"]
    counts = table["kind"].value_counts()
    assert counts["coefficient"] == posterior.sizes["term"]
    assert counts["scale"] == sum(str(name).startswith("sigma_") for name in posterior.data_vars)
    assert (
        counts["slope"]
        == posterior.sizes["level_slope"] + posterior.sizes["level_slope_by_under_way"]
    )
    pact = table.loc["defence pact"]
    draws = posterior["beta"].sel(term="defense_pact").to_numpy().ravel()
    assert pact[["mean", "sd"]].tolist() == pytest.approx([draws.mean(), draws.std(ddof=1)])
    assert pact[["lower", "upper"]].tolist() == pytest.approx(np.quantile(draws, (0.1, 0.9)))
    assert (pact["prior"], pact["family"]) == ("Normal(0.13, 0.28)", "deterrence")
    late = table.loc["defence pact, renewed rivalry 2014–"]
    own = posterior["effect_slope"].sel(level_slope="defense_pact|renewed_rivalry").to_numpy()
    assert late["mean"] == pytest.approx(draws.mean() + own.mean())
    assert (late["era"], late["years"]) == ("renewed_rivalry", "2014–")
    assert table.loc["s.d. of pairs", "prior"] == "HalfNormal(0.15)"
    assert set(table["interval"]) == {"equal-tailed"} and set(table["level"]) == {0.8}


def test_products_strata_and_walks_have_names_that_a_person_reads(known_fit) -> None:
    names = set(rich_fit(known_fit).summary().index)
    assert {
        "joint capability × far", "dispute last year × defence pact",
        "defence pact, not land contiguity", "peace years × land contiguity: 8 against 0",
        "far, 2010", "s.d. of walk of slopes (each step)",
    } <= names  # fmt: skip


def test_a_level_is_a_probability(known_fit) -> None:
    with pytest.raises(ArgumentError, match="level=90"):
        known_fit.summary(level=90)
