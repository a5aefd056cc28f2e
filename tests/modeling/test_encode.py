from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from support.modeling_panels import (
    content,
    hand_panel,
    hand_rows,
    panel,
    random_panel,
    rows,
    spec,
    term,
    varying,
)

from forecast.errors import ArgumentError, DataError, SpecificationError, UnknownNameError
from forecast.modeling.design import encode
from forecast.modeling.encoding import Encoding
from forecast.panel.types import Panel


def changed(**columns: Any) -> Panel:
    """The hand-made panel with some columns replaced."""
    data = hand_rows()
    return panel(data.assign({k: ("row", np.array(v, float)) for k, v in columns.items()}))


def only(*terms: dict[str, Any], **keys: Any) -> Any:
    """A specification with these terms and nothing else."""
    return spec(**({"term": list(terms), "smooth": [], "varying": []} | keys))


GAP = [1, np.nan, 3, np.nan, 5, 6, 7, 8]


# ------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("key", "value"),
    [("unit", "state-year"), ("population", "all"), ("outcome", "war_onset"), ("lag", 2)],
)
def test_panel_of_another_kind(key: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=f"{key}.*{value}"):
        encode(spec(), panel(hand_rows(), **{key: value}))


def test_missing_value_names_row_and_column() -> None:
    with pytest.raises(
        DataError, match=r"'ratio' is missing in 2 of 8 rows.*row 1 \(2-20 in 1992\)"
    ):
        encode(spec(), changed(ratio=GAP))


def test_missing_value_in_a_smooth() -> None:
    with pytest.raises(DataError, match="'peace' is missing in 2 of 8 rows"):
        encode(spec(), changed(peace=GAP))


def test_constant_column() -> None:
    with pytest.raises(SpecificationError, match=r"'pact' is constant \(1\) in all 8 rows"):
        encode(spec(), changed(pact=np.ones(8)))


def test_constant_smooth() -> None:
    with pytest.raises(SpecificationError, match="'peace' is constant"):
        encode(spec(), changed(peace=np.zeros(8)))


def test_only_missing_values() -> None:
    with pytest.raises(SpecificationError, match="'ratio': every value is missing"):
        encode(only(term("ratio", missing="indicator")), changed(ratio=np.full(8, np.nan)))


def test_linearly_dependent_columns() -> None:
    model = only(term("border"), term("ratio"), term("pact"))
    twice = changed(ratio=2.0 * hand_rows()["pact"] + 3.0)
    with pytest.raises(SpecificationError, match="'ratio', 'pact' are linearly dependent"):
        encode(model, twice)


def test_nearly_equal_columns_are_noted() -> None:
    data = random_panel(np.random.default_rng(1)).data
    data = data.assign(pact=data["ratio"] + 0.01 * data["peace"])
    _, encoding = encode(only(term("ratio"), term("pact")), panel(data))
    assert len(encoding.notes) == 1
    assert encoding.notes[0].startswith("ratio and pact: correlation 0.99")


@pytest.mark.parametrize(("kind", "bad"), [("log", 0.0), ("log1p", -1.5), ("sqrt", -1.0)])
def test_transformation_that_is_not_defined(kind: str, bad: float) -> None:
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, bad])
    with pytest.raises(SpecificationError, match=rf"'ratio': transform '{kind}' is not defined"):
        encode(only(term("ratio", transform=kind)), changed(ratio=values))


def test_no_onset() -> None:
    with pytest.raises(DataError, match="8 rows, 0 with an onset"):
        encode(spec(), changed(outcome=np.zeros(8)))


def test_no_row() -> None:
    with pytest.raises(DataError, match="0 rows"):
        encode(spec(years=[2050, 2060]), hand_panel())


def test_year_in_no_era() -> None:
    eras = [{"name": "late", "first": 1993}]
    with pytest.raises(SpecificationError, match=r"Year 1991 is in no \[\[era\]\]"):
        encode(spec(era=eras), hand_panel())


def test_absent_column_suggests_the_nearest() -> None:
    with pytest.raises(ArgumentError, match=r"'pakt'.*Did you mean 'pact'"):
        encode(only(term("pakt")), hand_panel())


def test_absent_feature_of_a_panel_without_world() -> None:
    model = only(term("expansion", feature="own_expansion", side="max", family="expansion"))
    with pytest.raises(DataError, match="'expansion'"):
        encode(model, hand_panel())


def test_column_that_is_not_numbers() -> None:
    words = panel(hand_rows().assign(ratio=("row", list("abcdefgh"))))
    with pytest.raises(DataError, match="'ratio' must hold one number per row, found dtype"):
        encode(spec(), words)


def test_unknown_term() -> None:
    encoding = encode(spec(), hand_panel())[1]
    with pytest.raises(UnknownNameError, match="Did you mean 'ratio'"):
        encoding.columns("ratios", 1.0)


# ----------------------------------------------------------------------- columns, by hand


def test_standardisation_by_hand() -> None:
    design, encoding = encode(spec(), hand_panel())
    assert design.names[:4] == ("intercept", "border", "ratio", "pact")
    np.testing.assert_array_equal(design.X[:, 0], 1.0)
    # binary: six of eight
    np.testing.assert_allclose(design.X[:, 1], np.array([1, 1, 1, 0, 1, 1, 1, 0]) - 0.75)
    # 1..8: mean 4.5, s.d. sqrt((64 - 1) / 12)
    expected = (np.arange(1, 9) - 4.5) / (2.0 * np.sqrt(63 / 12))
    np.testing.assert_allclose(design.X[:, 2], expected)
    np.testing.assert_allclose(design.X[:, 2].std(), 0.5)
    # smooth: columns are centred, not scaled
    np.testing.assert_allclose(design.X[:, 4:].mean(axis=0), 0.0, atol=1e-15)
    assert design.names[4:] == ("peace[1]", "peace[4]")
    assert encoding.names == design.names
    assert encoding.term_slices == {"border": [1], "ratio": [2], "pact": [3], "peace": [4, 5]}
    assert encoding.base_rate == 0.25
    assert encoding.years == (1991, 2004)


def test_smooth_is_the_difference_to_the_first_knot() -> None:
    encoding = encode(spec(), hand_panel())[1]
    at_knots = encoding.columns("peace", np.array([0.0, 1.0, 4.0]))
    np.testing.assert_allclose(at_knots[1:] - at_knots[0], np.eye(2), atol=1e-14)


def test_knots_are_on_the_features_own_scale() -> None:
    smooth = content()["smooth"][0] | {"transform": "log1p"}
    encoding = encode(spec(smooth=[smooth]), hand_panel())[1]
    at_knots = encoding.columns("peace", np.array([0.0, 1.0, 4.0]))
    np.testing.assert_allclose(at_knots[1:] - at_knots[0], np.eye(2), atol=1e-14)
    assert encoding.terms[-1].knots == (0.0, np.log(2.0), np.log(5.0))


def test_transformation_comes_before_scaling() -> None:
    design, encoding = encode(only(term("ratio", transform="log1p")), hand_panel())
    x = np.log1p(np.arange(1, 9))
    np.testing.assert_allclose(design.X[:, 1], (x - x.mean()) / (2 * x.std()))
    np.testing.assert_allclose(encoding.columns("ratio", 0.0), [-x.mean() / (2 * x.std())])


def test_positive_is_binary() -> None:
    values = [0, 0, 3, 0, 1, 0, 0, 0]
    design, _ = encode(only(term("ratio", transform="positive")), changed(ratio=values))
    np.testing.assert_allclose(design.X[:, 1], (np.array(values) > 0) - 0.25)


def test_priors() -> None:
    design, _ = encode(spec(), hand_panel())
    np.testing.assert_allclose(design.prior_mean, [np.log(0.25 / 0.75), 0, 0, 0, -1, -1])
    np.testing.assert_allclose(design.prior_sd, [1, 1, 1, 0.5, 2, 2])
    assert [(b.name, b.scale_prior.scale) for b in design.blocks] == [
        ("state", 0.5),
        ("dyad", 1.0),
        ("era", 0.3),
        ("slope", 0.25),
    ]


def test_intercept_prior_on_the_marginal_rate_by_hand() -> None:
    # One binary column with six of eight: variance 3/16, prior s.d. 1. State effects: two of
    # variance 1/4 a row. Walk: one row in three steps of a third each ... 4, 0, 4 of 8 rows in
    # steps 1990, 1995, 2000: mean variance .09 (4/8 * 1 + 4/8 * 3).
    model = only(
        term("border"),
        varying=[varying("state", 0.5), varying("era", 0.3, structure="random_walk", step=5)],
        intercept={"mean": "marginal_base_rate", "reason": "test"},
    )
    design, _ = encode(model, hand_panel())
    variance = 3 / 16 + 2 * 0.25 + 0.09 * 2.0
    c = 16 * np.sqrt(3) / (15 * np.pi)
    expected = np.log(1 / 3) * np.sqrt(1 + c**2 * variance)
    np.testing.assert_allclose(design.prior_mean[0], expected)


def test_intercept_prior_given_as_a_number() -> None:
    design, _ = encode(spec(intercept={"mean": -3, "sd": 0.7, "reason": "test"}), hand_panel())
    assert (design.prior_mean[0], design.prior_sd[0]) == (-3.0, 0.7)


# ---------------------------------------------------------------------------- missing values


def test_indicator_by_hand() -> None:
    design, encoding = encode(only(term("ratio", missing="indicator")), changed(ratio=GAP))
    known = np.array([1.0, 3, 5, 6, 7, 8])
    expected = (np.array(GAP) - known.mean()) / (2 * known.std())
    assert design.names == ("intercept", "ratio", "ratio:has_value")
    np.testing.assert_allclose(design.X[:, 1], np.where(np.isnan(GAP), 0.0, expected))
    np.testing.assert_allclose(design.X[:, 2], np.isfinite(GAP) - 0.75)
    np.testing.assert_array_equal(encoding.columns("ratio", np.nan), [0.0, -0.75])


def test_indicator_without_a_gap_imputes_and_counts_later() -> None:
    _, encoding = encode(only(term("ratio", missing="indicator")), hand_panel())
    assert encoding.names == ("intercept", "ratio")
    new = encoding.apply(changed(ratio=GAP).data)
    assert new.imputed == {"ratio": 2}
    np.testing.assert_array_equal(new.X[[1, 3], 1], 0.0)


def test_shared_gaps_have_one_indicator() -> None:
    model = only(
        term("ratio", missing="indicator"),
        term("peace", missing="indicator"),
        term("pact", missing="indicator"),
    )
    other = [1, 1, 0, 0, np.nan, 1, 0, 0]
    data = changed(ratio=GAP, peace=[2, np.nan, 1, np.nan, 0, 4, 1, 3], pact=other)
    _, encoding = encode(model, data)
    assert encoding.names == (
        "intercept", "ratio", "ratio:has_value", "peace", "pact", "pact:has_value",
    )  # fmt: skip
    assert encoding.notes == ("peace: missing in the same rows as ratio, one column",)
    assert encoding.columns("peace", np.nan).tolist() == [0.0]


def test_dropped_rows_are_counted() -> None:
    model = only(term("ratio", missing="drop"), term("pact", missing="drop"))
    pact = [1, np.nan, 0, 0, 1, 0, np.nan, 0]
    data = changed(ratio=GAP, pact=pact, outcome=[1, 1, 0, 0, 0, 0, 0, 0])
    design, encoding = encode(model, data)
    assert design.y.size == 5
    assert encoding.dropped == (("ratio", 2), ("pact", 1))
    np.testing.assert_array_equal(design.rows["year"], [1991, 1993, 2001, 2002, 2004])
    new = encoding.apply(data)
    np.testing.assert_array_equal(new.kept, [0, 2, 4, 5, 7])
    assert new.dropped == {"ratio": 2, "pact": 1}


def test_rows_without_an_outcome_are_not_fitted() -> None:
    data = changed(outcome=[0, 1, 0, 0, 0, 1, np.nan, np.nan])
    design, encoding = encode(only(term("ratio")), data)
    assert design.y.size == 6
    assert encoding.dropped == (("outcome", 2),)
    assert encoding.apply(data).X.shape[0] == 8


def test_window_of_years() -> None:
    design, _ = encode(only(term("ratio"), years=[1992, 2003]), hand_panel())
    np.testing.assert_array_equal(design.rows["year"], [1992, 1993, 1994, 2001, 2002, 2003])


def test_constant_column_dropped_on_request() -> None:
    model = spec(
        term=[term("ratio", family="dependency"),
              term("pact", family="deterrence", if_constant="drop")]
    )  # fmt: skip
    design, encoding = encode(model, changed(pact=np.ones(8)))
    assert "pact" not in design.names
    assert encoding.term_slices["pact"] == []
    assert encoding.columns("pact", np.zeros((3, 2))).shape == (3, 2, 0)
    assert encoding.notes == ("pact: constant (1) in this sample, left out",)
    assert encoding.block("slope").columns == ("ratio",)


# ----------------------------------------------------------------------------------- blocks


def test_blocks_by_hand() -> None:
    design, _ = encode(spec(), hand_panel())
    blocks = {block.name: block for block in design.blocks}
    assert blocks["state"].levels.tolist() == ["2", "20", "70"]
    np.testing.assert_array_equal(
        blocks["state"].matrix.toarray(),
        [[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 1], [1, 0, 1], [0, 1, 1]],
    )
    assert blocks["dyad"].levels.tolist() == ["2-20", "2-70", "20-70"]
    assert blocks["dyad"].matrix.indices.tolist() == [0, 0, 1, 2, 0, 1, 1, 2]
    # 1995 has no row, but the walk passes through it.
    assert blocks["era"].structure == "random_walk"
    assert blocks["era"].levels.tolist() == ["1990", "1995", "2000"]
    assert blocks["era"].matrix.indices.tolist() == [0, 0, 0, 0, 2, 2, 2, 2]
    assert blocks["slope"].levels.tolist() == [
        "ratio|early", "ratio|late", "pact|early", "pact|late",
    ]  # fmt: skip
    dense = blocks["slope"].matrix.toarray()
    np.testing.assert_allclose(dense[:4, 0], design.X[:4, 2])
    np.testing.assert_allclose(dense[4:, 1], design.X[4:, 2])
    np.testing.assert_allclose(dense[4:, [0, 2]], 0.0)
    np.testing.assert_allclose(dense.sum(axis=1), design.X[:, 2] + design.X[:, 3])


def test_levels_are_in_numerical_order_whatever_the_digits() -> None:
    data = rows([1990] * 3, [(2, 990), (100, 200), (20, 100)], outcome=[1, 0, 0], ratio=[1, 2, 3])
    model = only(term("ratio"), varying=[varying("state", 1), varying("dyad", 1)])
    design, encoding = encode(model, panel(data))
    assert design.blocks[0].levels.tolist() == ["2", "20", "100", "200", "990"]
    assert design.blocks[1].levels.tolist() == ["2-990", "20-100", "100-200"]
    again = encoding.apply(data.isel(row=[2, 0])).blocks
    assert again[0].matrix.toarray().tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]
    assert again[1].matrix.toarray().tolist() == [[0, 1, 0], [1, 0, 0]]


def test_new_levels() -> None:
    encoding = encode(spec(), hand_panel())[1]
    new = rows(
        [2003, 2011, 2024], [(2, 95), (2, 20), (90, 95)],
        border=[1, 1, 1], ratio=[4.5, 4.5, 4.5], pact=[0, 0, 0], peace=[0, 0, 0],
    )  # fmt: skip
    state, dyad, era, slope = encoding.apply(new).blocks
    assert state.unknown_levels == ("90", "95")
    np.testing.assert_array_equal(state.matrix.toarray(), [[1, 0, 0], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(state.unknown.toarray(), [[0, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(state.unknown_weight, [1, 0, 2])
    assert dyad.unknown_levels == ("2-95", "90-95")
    np.testing.assert_array_equal(dyad.unknown.toarray(), [[1, 0], [0, 0], [0, 1]])
    # 2024 lies four steps after 2000; the steps between have no row, but the walk needs them.
    assert era.unknown_levels == ("2005", "2010", "2015", "2020")
    np.testing.assert_array_equal(era.unknown.toarray(), [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(era.matrix.toarray()[0], [0, 0, 1])
    assert slope.unknown_levels == ()


def test_slopes_of_an_era_without_rows_in_the_fit() -> None:
    terms = [term("ratio", family="dependency"), term("pact", family="dependency")]
    model = only(*terms, varying=[varying("slope", 0.25, families=["dependency"])])
    encoding = encode(model, panel(hand_rows().isel(row=slice(0, 4))))[1]
    block = encoding.apply(hand_rows()).blocks[0]
    assert encoding.block("slope").levels == ("ratio|early", "pact|early")
    assert block.unknown_levels == ("ratio|late", "pact|late")
    assert not block.unknown.toarray()[:4].any()
    columns = encoding.columns("ratio", hand_rows()["ratio"].to_numpy())[4:, 0]
    np.testing.assert_allclose(block.unknown.toarray()[4:, 0], columns)


def test_rows_before_the_walk() -> None:
    walk = varying("era", 0.3, structure="random_walk", step=5)
    model = only(term("ratio"), varying=[walk])
    encoding = encode(model, panel(hand_rows().isel(row=slice(4, 8))))[1]
    with pytest.raises(ArgumentError, match="step 1990 lies before the first year of the fit"):
        encoding.apply(hand_rows())


def test_year_beyond_a_closed_era() -> None:
    closed = [{"name": "all", "first": 1990, "last": 2005}]
    encoding = encode(spec(era=closed), hand_panel())[1]
    later = hand_rows().assign_coords(year=("row", np.full(8, 2006)))
    with pytest.raises(ArgumentError, match="Year 2006 is in no"):
        encoding.apply(later)


def test_challenger_and_target() -> None:
    model = only(
        term("ratio"),
        unit="directed-dyad-year",
        varying=[varying("challenger", 1), varying("target", 1), varying("dyad", 1)],
    )
    data = (
        hand_rows()
        .isel(row=[0, 1, 2])
        .assign_coords(ccode_a=("row", [20, 2, 70]), ccode_b=("row", [2, 20, 2]))
    )
    design, _ = encode(model, panel(data, unit="directed-dyad-year"))
    challenger, target, dyad = design.blocks
    assert challenger.levels[challenger.matrix.indices].tolist() == ["20", "2", "70"]
    assert target.levels[target.matrix.indices].tolist() == ["2", "20", "2"]
    assert dyad.levels[dyad.matrix.indices].tolist() == ["2-20", "2-20", "2-70"]


# ----------------------------------------------------------------------- applying it again


def test_apply_repeats_the_design(rng: np.random.Generator) -> None:
    fitted = random_panel(rng)
    design, encoding = encode(spec(), fitted)
    again = encoding.apply(fitted)
    np.testing.assert_array_equal(again.X, design.X)
    for block, row_block in zip(design.blocks, again.blocks, strict=True):
        assert (block.matrix != row_block.matrix).nnz == 0
        assert row_block.unknown.shape == (400, 0)


def test_apply_does_not_depend_on_the_other_rows(rng: np.random.Generator) -> None:
    fitted = random_panel(rng)
    encoding = encode(spec(), fitted)[1]
    whole = encoding.apply(fitted)
    part = encoding.apply(fitted.data.isel(row=[7, 3]))
    np.testing.assert_array_equal(part.X, whole.X[[7, 3]])
    for some, every in zip(part.blocks, whole.blocks, strict=True):
        np.testing.assert_array_equal(some.matrix.toarray(), every.matrix.toarray()[[7, 3]])


def test_columns_are_those_of_the_design(rng: np.random.Generator) -> None:
    fitted = random_panel(rng)
    design, encoding = encode(spec(), fitted)
    for name, positions in encoding.term_slices.items():
        raw = fitted.data[name].to_numpy().reshape(20, 20)
        columns = encoding.columns(name, raw)
        np.testing.assert_array_equal(columns.reshape(400, len(positions)), design.X[:, positions])


def test_apply_refuses_another_panel() -> None:
    encoding = encode(spec(), hand_panel())[1]
    with pytest.raises(ArgumentError, match="lag 2"):
        encoding.apply(panel(hand_rows(), lag=2))
    with pytest.raises(ArgumentError, match="no column 'pact'"):
        encoding.apply(hand_rows().drop_vars("pact"))


def test_apply_refuses_what_the_transformation_cannot_take() -> None:
    encoding = encode(only(term("ratio", transform="log")), hand_panel())[1]
    with pytest.raises(DataError, match=r"ratio = 0\.0 in row 0 \(2-20 in 1991\).*'log'"):
        encoding.apply(changed(ratio=[0, 1, 1, 1, 1, 1, 1, 1]).data)


def test_json_round_trip_is_exact(rng: np.random.Generator) -> None:
    fitted = random_panel(rng)
    fitted.data["ratio"][3] = np.nan
    terms = content()["term"]
    terms[1]["missing"] = "indicator"
    encoding = encode(spec(term=terms), fitted)[1]
    back = Encoding.from_dict(json.loads(json.dumps(encoding.to_dict())))
    assert back == encoding
    np.testing.assert_array_equal(back.apply(fitted).X, encoding.apply(fitted).X)


def test_features_are_computed_from_the_world(tiny_panel: Panel) -> None:
    model = only(
        term("contiguous", feature="land_contiguity", family="geography", missing="drop"),
        term("parity", feature="capability_ratio", missing="drop"),
        varying=[varying("state", 0.5)],
    )
    design, encoding = encode(model, tiny_panel)
    given = encoding.apply(tiny_panel)
    assert given.X.shape[0] == tiny_panel.data.sizes["row"] - sum(given.dropped.values())
    assert [r.feature for r in encoding.requests] == ["land_contiguity", "capability_ratio"]
    assert isinstance(design.rows, xr.Dataset)
    lagged = tiny_panel.data["year"].to_numpy()[given.kept] - 1
    a = tiny_panel.data["ccode_a"].to_numpy()[given.kept]
    b = tiny_panel.data["ccode_b"].to_numpy()[given.kept]
    assert tiny_panel.world is not None
    contiguous = [
        float(tiny_panel.world["contiguity"].sel(year=s, state=i, other=j) == 1)
        for s, i, j in zip(lagged, a, b, strict=True)
    ]
    center = encoding.terms[0].center[0]
    np.testing.assert_allclose(given.X[:, 1], np.array(contiguous) - center)
