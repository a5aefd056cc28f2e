"""What the priors say as probabilities: by hand, and as it is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from support.modeling_panels import hand_panel, spec

from forecast import plot
from forecast.errors import ArgumentError
from forecast.evaluation.prior_scale import prior_table
from forecast.plot.intervals import new_axes


def test_ends_of_a_term_by_hand() -> None:
    """A binary term: beta ~ Normal(m, s) times its centred column, about the base rate."""
    panel, model = hand_panel(), spec()
    table = prior_table(model, panel, draws=20_000, seed=1)
    y = panel.data["outcome"].to_numpy()
    first = table.iloc[0]
    assert (first["term"], first["at"]) == ("base rate", y.mean())
    border = next(term for term in model.terms if term.name == "border")
    share = float(panel.data["border"].mean())
    ends = table[table["term"] == "border"].set_index("end")
    assert ends["at"].to_dict() == {"low": 0.0, "high": 1.0}
    assert border.prior.sd is not None
    for end, x in (("low", -share), ("high", 1.0 - share)):
        middle = logit(y.mean()) + border.prior.mean * x
        reach = 1.645 * border.prior.sd * abs(x)
        expected = expit([middle - reach, middle, middle + reach])
        found = ends.loc[end, ["lower", "median", "upper"]].to_numpy(float)
        np.testing.assert_allclose(found, expected, rtol=0.03)
    assert set(table["term"]) == {"base rate", *(entry.name for entry in model.entries)}


def test_the_same_in_axes_of_ones_own() -> None:
    table = prior_table(spec(), hand_panel(), draws=200, seed=1)
    (ax,) = new_axes(1, 1, (6, 6))
    assert plot.prior(table, ax=ax) is ax
    shown = [text.get_text() for text in ax.get_yticklabels()]
    assert shown[:2] == ["all rows", "base rate"]
    assert "before the fit" in ax.get_xlabel().replace("\n", " ")
    again = plot.prior(spec(), hand_panel(), draws=200)
    assert len(again.lines) == len(ax.lines)


def test_draws_and_level_are_checked() -> None:
    with pytest.raises(ArgumentError, match="at least 100"):
        prior_table(spec(), hand_panel(), draws=5)
