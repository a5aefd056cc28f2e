"""One line each: what a fit, its effects, a pair and a scenario under theories look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import forecast as fc
from forecast import plot
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.backtest_result import Backtest
from forecast.modeling.encoding import complete
from forecast.plot.intervals import new_axes


@pytest.fixture(scope="module")
def rows(known_fit):
    panel = known_fit.panel
    some = panel.with_data(panel.data.isel(row=np.arange(0, panel.data.sizes["row"], 97)))
    return complete(some, known_fit.encoding.terms)


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def test_effects_are_differences_ratios_or_a_curve(known_fit, rows) -> None:
    pacts = fc.effects(known_fit, "pact_in_dyad", by="era", rows=rows, draws=40)
    (ax,) = new_axes(1, 1, (5, 4))
    assert plot.effects(pacts, ax=ax) is ax
    assert texts(ax)[0] == "defence pact, 0 → 1" and len(texts(ax)) == 2 + len(pacts.table)
    assert "percentage points" in ax.get_xlabel().replace("\n", " ")
    values = sorted(x for line in ax.lines if line.get_marker() == "o" for x in line.get_xdata())
    assert values == pytest.approx(sorted(100 * pacts.table["difference"]))
    assert "ratio" in plot.effects(pacts, show="ratio").get_xlabel()
    with pytest.raises(ArgumentError, match="2 terms"):
        plot.effects(pacts, show="curve")
    with pytest.raises(UnknownNameError, match="Did you mean 'ratio'"):
        plot.effects(pacts, show="ratios")
    peace = fc.effects(known_fit, "peace_years", by="far", rows=rows, draws=40)
    ax = plot.effects(peace)
    assert ax.get_xlabel() == "peace years"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["far: no", "far: yes"]
    np.testing.assert_allclose(
        np.concatenate([line.get_ydata() for line in ax.lines]), 100 * peace.curves["probability"]
    )


def test_history_of_a_pair_has_what_came_and_what_the_fit_says(known_fit) -> None:
    ax = plot.history(known_fit, "Pakistan", "India")
    assert isinstance(ax, Axes) and ax.get_title(loc="left").startswith("India – Pakistan")
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "which has seen what came" in told[0]
    assert any("1,000 deaths" in text for text in told)  # the Kargil war of 1999
    onsets = known_fit.panel.data["outcome"].to_numpy() == 1
    pair = (known_fit.panel.data["ccode_a"] == 750) & (known_fit.panel.data["ccode_b"] == 770)
    drawn = [c for c in ax.collections if c.get_label().startswith("a dispute began")]
    assert sum(len(c.get_offsets()) for c in drawn) == int((onsets & pair.to_numpy()).sum())
    with pytest.raises(ArgumentError, match="in no row of the fit"):
        plot.history(known_fit, "Paraguay", "Mongolia")
    with pytest.raises(UnknownNameError):
        plot.history(known_fit, "Atlantis", "India")


def test_reliability_of_a_fit_is_that_of_its_record(known_fit) -> None:
    with pytest.raises(ArgumentError, match="the fit has no record"):
        plot.reliability(known_fit)


def test_slopes_of_a_fit_are_those_of_its_eras(known_fit) -> None:
    ax = plot.slopes(known_fit)
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["1946–1989", "1990–2013", "2014–"][-len(shown) :] and "defence pact" in texts(
        ax
    )


def test_history_beside_what_was_forecast(known_fit) -> None:
    years = np.arange(2005, 2015)
    table = pd.DataFrame({"year": years, "horizon": 1, "model": "m", "ccode_a": 750,
                          "ccode_b": 770, "probability": np.linspace(0.1, 0.5, years.size),
                          "lower": 0.05, "upper": 0.6})  # fmt: skip
    backtest = Backtest(table, pd.DataFrame(), pd.DataFrame(), "m", 0.9, {})
    ax = plot.history(known_fit, "India", "Pakistan", backtest=backtest)
    _, line = (line for line in ax.lines if len(line.get_xdata()) > 2)
    np.testing.assert_allclose(line.get_ydata(), table["probability"])
    with pytest.raises(ArgumentError, match="no forecast one year ahead"):
        plot.history(known_fit, "Russia", "Ukraine", backtest=backtest)
