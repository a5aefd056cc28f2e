"""Wrong types get our errors, in every public function, before any work; kinds of numpy are right.

Each argument below is given values of every wrong type. What the functions raise is a
`ForecastError`: never an error of Python, numpy or pandas from somewhere inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import forecast as fc
from forecast.errors import ForecastError
from forecast.features import compute_features, feature_arrays

NO_WHOLE = (2.5, "3", True, [1], {}, np.float64(2.0), np.nan, -1, 10**30, b"2")
NO_LEVEL = (0, 1, 2, -0.5, "0.9", True, None, [0.9], np.nan)
NO_YEARS = (
    ("1990", "2000"), (1990.5, 2000), (2000, 1990), (None, 2000), (True, 2000), (1990,), 1990,
    "1990", {"first": 1990}, (1990, 1995, 2000),
)  # fmt: skip
NO_LIST = (1, 3.5, "pact_in_dyad", {"pact_in_dyad": 1}, [1], [None], ["pact_in_dyad"])
NO_STATE = (2.5, True, b"USA", {}, [[]], object())
NO_OBJECT = (1, 3.5, "dyad", ["dyad"], {}, np.zeros(2))
EDIT = fc.Scenario("edit").leave("NATO", ["USA"], 2027)

#: By argument: a call with it, and values that it cannot have.
CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "effects at": (
        lambda fit, x: fc.effects(fit, "defense_pact", at=x),
        ({"defense_pact": 0}, {"no": 1}),
    ),
    "plot.scenario": (lambda fit, x: fc.plot.scenario(x), NO_OBJECT),
    "plot.risks": (lambda fit, x: fc.plot.risks(x), NO_OBJECT),
    "plot.rivals": (lambda fit, x: fc.plot.rivals(x), NO_OBJECT),
    "plot.state_map": (lambda fit, x: fc.plot.state_map(x), NO_OBJECT),
    "load_panel sources": (lambda fit, x: fc.load_panel(sources=x), ("cow", 1, ["cow"])),
    "risk horizon": (lambda fit, x: fc.risk(fit, "USA", "IRN", horizon=x), (*NO_WHOLE, None)),
    "risk draws": (lambda fit, x: fc.risk(fit, "USA", "IRN", draws=x), NO_WHOLE),
    "risk seed": (lambda fit, x: fc.risk(fit, "USA", "IRN", seed=x), NO_WHOLE),
    "risk level": (lambda fit, x: fc.risk(fit, "USA", "IRN", level=x), NO_LEVEL),
    "risk severity": (lambda fit, x: fc.risk(fit, "USA", "IRN", severity=x), (1, None, ["onset"])),
    "risk a": (lambda fit, x: fc.risk(fit, x, "IRN"), NO_STATE),
    "risk b": (lambda fit, x: fc.risk(fit, "IRN", x), NO_STATE),
    "risk fit": (lambda fit, x: fc.risk(x, "USA", "IRN"), NO_OBJECT),
    "simulate horizon": (lambda fit, x: fc.simulate(fit, EDIT, horizon=x), (*NO_WHOLE, None)),
    "simulate draws": (lambda fit, x: fc.simulate(fit, EDIT, draws=x), NO_WHOLE),
    "simulate seed": (lambda fit, x: fc.simulate(fit, EDIT, seed=x), NO_WHOLE),
    "simulate level": (lambda fit, x: fc.simulate(fit, EDIT, level=x), NO_LEVEL),
    "simulate scenario": (lambda fit, x: fc.simulate(fit, x), NO_OBJECT),
    "simulate theories": (lambda fit, x: fc.simulate(fit, EDIT, theories=x), (1, 3.5, "none", [])),
    "initiation scenario": (lambda fit, x: fc.initiation(fit, x), NO_OBJECT),
    "check seed": (lambda fit, x: fc.check(fit, seed=x), (*NO_WHOLE, None)),
    "check checks": (lambda fit, x: fc.check(fit, seed=1, checks=x), (1, "loo", ["lo"], [1], {})),
    "effects name": (lambda fit, x: fc.effects(fit, x), (1, 3.5, True, b"far", ("far",), ["far"])),
    "effects draws": (lambda fit, x: fc.effects(fit, "far", draws=x), (*NO_WHOLE, None)),
    "effects seed": (lambda fit, x: fc.effects(fit, "far", seed=x), NO_WHOLE),
    "effects level": (lambda fit, x: fc.effects(fit, "far", level=x), NO_LEVEL),
    "effects rows": (lambda fit, x: fc.effects(fit, "far", rows=x), NO_OBJECT),
    "summary level": (lambda fit, x: fit.summary(level=x), NO_LEVEL),
    "fit seed": (lambda fit, x: fc.fit(fit.spec, fit.panel, seed=x), NO_WHOLE),
    "fit draws": (lambda fit, x: fc.fit(fit.spec, fit.panel, seed=1, draws=x), (*NO_WHOLE, None)),
    "fit model": (lambda fit, x: fc.fit(x, fit.panel, seed=1), (1, 3.5, None, ["dyad_onset"])),
    "load_model": (lambda fit, x: fc.load_model(x), (1, 3.5, None, ["dyad_onset"])),
    "load_panel lag": (lambda fit, x: fc.load_panel(lag=x), (*NO_WHOLE, None)),
    "load_panel years": (
        lambda fit, x: fc.load_panel(data=fit.panel.tables, years=x),
        NO_YEARS,
    ),
    "load_panel unit": (lambda fit, x: fc.load_panel(unit=x), (1, None, ["dyad-year"], b"x")),
    "select_years": (lambda fit, x: fit.panel.select_years(x, 2000), ("1990", 2.5, None, True)),
    "compute_features": (lambda fit, x: compute_features(fit.panel, x), (*NO_LIST, None)),
    "feature_arrays": (lambda fit, x: feature_arrays(fit.panel.world, x), (*NO_LIST, None)),
    "attach features": (lambda fit, x: fc.attach(fit.panel.to_dataframe(), x), (1, 3.5, [1], None)),
    "attach frame": (lambda fit, x: fc.attach(x, ["far"]), NO_OBJECT),
    "model terms": (lambda fit, x: fc.model("onset", terms=x), (1, 3.5, None, [1])),
    "model outcome": (lambda fit, x: fc.model(x), (1, 3.5, None, ["onset"], "pact_in_dyad")),
    "case": (lambda fit, x: fc.case(x), (1, None, ["nato_1949"], {})),
    "members": (lambda fit, x: fc.members(x), (1, None, ["NATO"], {})),
    "report": (lambda fit, x: fc.report(x, "nowhere"), NO_OBJECT),
    "plot.effects": (lambda fit, x: fc.plot.effects(x), NO_OBJECT),
    "plot.reliability": (lambda fit, x: fc.plot.reliability(x), NO_OBJECT),
    "plot.history": (lambda fit, x: fc.plot.history(fit, x, "IRN"), (2.5, True, b"USA", None)),
    "plot.coefficients": (lambda fit, x: fc.plot.coefficients(x), NO_OBJECT),
}


@pytest.mark.parametrize("argument", CALLS)
def test_wrong_types_are_refused_in_our_words(known_fit, argument: str) -> None:
    call, wrong = CALLS[argument]
    for value in wrong:
        with pytest.raises(ForecastError) as caught:
            call(known_fit, value)
        assert len(str(caught.value)) > 10, value


def test_years_say_what_was_expected() -> None:
    with pytest.raises(ForecastError, match=r"years=\('1990', '2000'\): expected the first and"):
        fc.load_panel(years=("1990", "2000"))


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint16])
def test_whole_numbers_of_numpy_are_whole_numbers(known_fit, kind) -> None:
    us, iran = kind(2), kind(630)
    panel = fc.load_panel(data=known_fit.panel.tables, years=(kind(2019), kind(2020)), lag=kind(1))
    assert set(panel.data["year"].to_numpy()) == {2019, 2020}
    assert panel.select_years(kind(2020), kind(2020)).data.sizes["row"] > 0
    scenario = fc.Scenario("codes").leave("NATO", [us], kind(2027))
    assert scenario.edits[0].states == (2,) and scenario.edits[0].when == "2027-01-01"
    some = known_fit.panel.select_years(2020, 2020)
    assert len(fc.effects(known_fit, "far", rows=some, draws=kind(20), seed=kind(3)).table) == 1
    assert fc.plot.history(known_fit, us, iran).get_title(loc="left").startswith("United States")
