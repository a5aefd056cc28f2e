"""Models beside each other: blocks left out as ArviZ has it, paired intervals, what is refused."""

from dataclasses import replace

import arviz as az
import numpy as np
import pandas as pd
import pytest
from support.evaluation_panels import backtest_of, simulate_panel

import forecast as fc
from forecast.errors import ArgumentError, UnknownNameError

pytestmark = pytest.mark.filterwarnings("ignore:Estimated shape parameter")


def small(formula, **choices):
    return fc.model(
        formula, columns={"ally": "commitment"}, name="small", population="all", **choices
    )


@pytest.fixture(scope="module")
def rows():
    return simulate_panel(states=10, first=1970, last=1989, intercept=-2.0, slope=3.0)


@pytest.fixture(scope="module")
def fits(rows):
    return {
        "ally": fc.fit(small("onset ~ land_contiguity + ally + (1|dyad)"), rows, seed=2, draws=400),
        "bare": fc.fit(small("onset ~ land_contiguity + (1|dyad)"), rows, seed=2, draws=400),
    }


@pytest.fixture(scope="module")
def tests(rows):
    formulas = {"ally": "onset ~ land_contiguity + ally", "bare": "onset ~ land_contiguity"}
    return {
        name: backtest_of([small(formula)], rows, origins=range(1984, 1990), seed=3, draws=100)
        for name, formula in formulas.items()
    }


@pytest.mark.parametrize("by", ["pair", "year", "row"])
def test_scores_are_those_of_arviz_and_differences_are_sums(fits, by):
    found = fc.compare(fits, by=by, reference="bare", resamples=500)
    for name, fit in fits.items():
        loo = az.loo(fit.to_datatree("log_likelihood", by=by), pointwise=True)
        ours = found.loo[name]
        assert ours.elpd == pytest.approx(loo.elpd, abs=0.3)
        assert ours.se == pytest.approx(loo.se, rel=0.01)
        assert ours.p == pytest.approx(loo.p, abs=0.6)
        assert ours.good_k == pytest.approx(loo.good_k)
    table = found.table.set_index("model")
    gain = found.loo["ally"].elpd_i - found.loo["bare"].elpd_i
    assert table.loc["ally", "difference"] == pytest.approx(float(gain.sum()))
    assert table.loc["ally", "lower"] < table.loc["ally", "difference"] < table.loc["ally", "upper"]
    assert table.loc["bare", "difference"] == 0.0
    # the width of a 90% interval of a sum over independent blocks
    if by != "row":
        width = table.loc["ally", "upper"] - table.loc["ally", "lower"]
        dse = float(np.sqrt(gain.size * gain.var()))
        assert width == pytest.approx(2 * 1.645 * dse, rel=0.2)
    assert list(az.compare(found.loo).index) == found.table["model"].tolist()
    assert az.plot_khat(found.loo["ally"]) is not None


def test_the_best_is_the_reference_and_the_card_says_who_is_worse(fits):
    found = fc.compare(fits)
    assert (found.reference, found.by) == ("ally", "pair")
    text = repr(found)
    assert "bare is worse than ally" in text
    assert "never seen" in text
    assert len(text) < 1500
    assert "bare is worse than ally" in found._repr_html_()


def test_a_fit_is_no_better_than_itself(fits):
    found = fc.compare({"one": fits["ally"], "two": fits["ally"]})
    assert (found.table[["difference", "lower", "upper"]] == 0.0).all(axis=None)
    assert "two is not told apart from one" in repr(found)


def test_backtests_are_paired_by_forecast(fits, tests):
    found = fc.compare(tests, resamples=300)
    assert found.table.empty
    assert found.reference == "ally"
    table = found.backtests.set_index("model")
    loss = {n: t.scores.query("kind == 'all' and model == @t.model")["log_loss"].iloc[0]
            for n, t in tests.items()}  # fmt: skip
    assert table.loc["bare", "log_score"] == pytest.approx(-loss["bare"])
    assert table.loc["bare", "difference"] == pytest.approx(loss["ally"] - loss["bare"])
    assert table.loc["bare", "lower"] < table.loc["bare", "difference"] < table.loc["bare", "upper"]
    both = fc.compare(fits, backtests=tests, resamples=300)
    pd.testing.assert_frame_equal(both.backtests, found.backtests)
    assert "backtest, 1 ahead" in repr(both)
    card = repr(tests["ally"])
    assert "climatology" in card
    assert len(card.splitlines()) < 15


def test_other_rows_and_outcomes_are_refused(fits, rows, tests):
    short = replace(fits["bare"], panel=rows.select_years(1971, 1989))
    with pytest.raises(ArgumentError, match=r"900 rows.* 855.*year 1970, ccode_a 2.*only in 'a'"):
        fc.compare({"a": fits["ally"], "b": short})
    flipped = rows.data["outcome"].copy()
    flipped[7] = 1.0 - flipped[7]
    other = replace(fits["bare"], panel=rows.with_data(rows.data.assign(outcome=flipped)))
    with pytest.raises(ArgumentError, match="outcomes of 'a' and 'b' differ in 1 of 900 rows"):
        fc.compare({"a": fits["ally"], "b": other})
    fewer = replace(tests["bare"], forecasts=tests["bare"].forecasts.query("year > 1984"))
    with pytest.raises(ArgumentError, match="not of the same forecasts"):
        fc.compare({"a": tests["ally"], "b": fewer})


def test_what_is_no_comparison_is_refused(fits, tests):
    with pytest.raises(ArgumentError, match="at least two"):
        fc.compare({"a": fits["ally"]})
    with pytest.raises(ArgumentError, match="'b' is a int"):
        fc.compare({"a": fits["ally"], "b": 1})
    with pytest.raises(ArgumentError, match="expected a mapping"):
        fc.compare([fits["ally"], fits["bare"]])
    with pytest.raises(ArgumentError, match="at least two of one kind"):
        fc.compare({"a": fits["ally"], "b": tests["bare"]})
    with pytest.raises(ArgumentError, match="backtests are of ally"):
        fc.compare(fits, backtests={"ally": tests["ally"]})
    with pytest.raises(UnknownNameError, match="'bare'"):
        fc.compare(fits, reference="bar")
