"""Products of terms: specification, columns, priors, and what belongs to what."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support.modeling_panels import hand_panel, hand_rows, panel, random_panel, spec, term

from forecast.errors import SpecificationError, UnknownNameError
from forecast.modeling.design import encode
from forecast.modeling.encoding import Encoding
from forecast.modeling.spec import ModelSpec


def interaction(name: str, *of: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "of": list(of), "prior": {"sd": 0.5}, "reason": "test"} | keys


RATIO_PACT = interaction("ratio_pact", "ratio", "pact", prior={"mean": 0.1, "sd": 0.3})


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([interaction("x", "ratio", "pakt")], "unknown term 'pakt'; did you mean 'pact'?"),
        ([interaction("x", "ratio", "ratio")], "two different terms"),
        ([interaction("pact", "ratio", "border")], "the name is taken"),
        ([interaction("x", "ratio", "pact"), interaction("y", "pact", "ratio")], "same product"),
        ([interaction("x", "ratio")], "of"),
        ([interaction("x", "ratio", "pact", sd=1.0)], "unknown key 'sd'"),
    ],
)
def test_mistakes_are_named(tables: list[dict[str, Any]], expected: str) -> None:
    with pytest.raises(SpecificationError) as error:
        spec(interaction=tables)
    assert expected in str(error.value)


def test_columns_are_centred_products_of_the_standardised_columns() -> None:
    design, encoding = encode(spec(interaction=[RATIO_PACT]), hand_panel())
    at = {name: i for i, name in enumerate(design.names)}
    assert design.names == ("intercept", "border", "ratio", "pact", "peace[1]", "peace[4]",
                            "ratio_pact")  # fmt: skip
    product = design.X[:, at["ratio"]] * design.X[:, at["pact"]]
    np.testing.assert_allclose(design.X[:, at["ratio_pact"]], product - product.mean())
    assert (design.prior_mean[-1], design.prior_sd[-1]) == (0.1, 0.3)
    assert encoding.term_slices["ratio_pact"] == [6]
    # A new row has the product of its own columns, less the mean of the fit.
    new = encoding.apply(hand_panel().data.isel(row=[2]))
    np.testing.assert_allclose(new.X[0], design.X[2])


def test_a_smooth_times_a_term_has_a_column_for_each_knot() -> None:
    wiggle = interaction("peace_border", "peace", "border")
    design, _ = encode(spec(interaction=[wiggle]), random_panel(np.random.default_rng(2)))
    assert design.names[-2:] == ("peace_border[1]", "peace_border[4]")
    at = {name: i for i, name in enumerate(design.names)}
    product = design.X[:, at["peace[4]"]] * design.X[:, at["border"]]
    np.testing.assert_allclose(design.X[:, -1], product - product.mean())


def test_a_missing_part_is_at_its_mean() -> None:
    data = hand_rows()
    values = data["ratio"].to_numpy().copy()
    values[3] = np.nan
    terms = [term("border"), term("ratio", missing="indicator"), term("pact")]
    model = spec(term=terms, smooth=[], interaction=[RATIO_PACT], varying=[])
    design, encoding = encode(model, panel(data.assign(ratio=("row", values))))
    assert design.names[-2:] == ("pact", "ratio_pact")
    assert "ratio:has_value" in design.names
    np.testing.assert_allclose(design.X[3, -1], -encoding.interactions[0].center[0])


def test_without_rows_that_have_both_it_is_refused_or_left_out() -> None:
    both = hand_rows()
    apart = panel(both.assign(pact=("row", 1.0 - both["border"].to_numpy())))
    # pact = 1 - border: no row has both, and the product follows from the two.
    model = {"term": [term("border"), term("ratio"), term("pact")], "smooth": [], "varying": []}
    lone = interaction("both", "border", "pact")
    with pytest.raises(SpecificationError, match="'both' of 'border' and 'pact' says nothing"):
        encode(spec(**model, interaction=[lone]), apart)
    model["term"] = [term("border"), term("ratio")]
    fixed = panel(both.assign(border=("row", np.ones(8))))
    model["term"][0]["if_constant"] = "drop"
    dropped = interaction("x", "border", "ratio", if_constant="drop")
    design, encoding = encode(spec(**model, interaction=[dropped]), fixed)
    assert design.names == ("intercept", "ratio")
    assert any("x: nothing beyond" in note for note in encoding.notes)


def test_it_goes_with_either_of_its_terms() -> None:
    tables = [RATIO_PACT, interaction("border_peace", "border", "peace")]
    model = spec(interaction=tables)
    assert [i.name for i in model.without().interactions] == ["border_peace"]
    assert model.without("dependency").interactions == model.interactions[1:]
    assert [i.name for i in model.what_if().interactions] == ["ratio_pact"]
    assert model.family_of("ratio_pact") == "dependency"
    assert model.family_of("border_peace") == "power"
    with pytest.raises(UnknownNameError, match="ratio_pact"):
        model.family_of("ratio_pakt")


def test_its_slope_may_vary_by_name() -> None:
    from support.modeling_panels import varying

    groups = [varying("slope", 0.25, terms=["ratio_pact", "pact"])]
    model = spec(interaction=[RATIO_PACT], varying=groups)
    assert model.slope_terms() == ("pact", "ratio_pact")
    design, _ = encode(model, random_panel(np.random.default_rng(3)))
    assert set(design.blocks[0].levels.tolist()) == {
        f"{name}|{era}" for name in ("pact", "ratio_pact") for era in ("early", "late")
    }
    assert model.without("deterrence").varying == ()


def test_round_trips() -> None:
    model = spec(interaction=[RATIO_PACT])
    assert ModelSpec.from_dict(model.to_dict()) == model
    assert model.sha256 != spec().sha256
    _, encoding = encode(model, hand_panel())
    stored = json.loads(json.dumps(encoding.to_dict()))
    assert Encoding.from_dict(stored) == encoding
    del stored["interactions"]
    assert Encoding.from_dict(stored).interactions == ()
