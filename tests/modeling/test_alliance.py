"""Alliance multiple membership on a world of four states and three treaties, by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from support.modeling_panels import content, panel, varying

from forecast.errors import ArgumentError, CoverageError, DataError, SpecificationError
from forecast.features import treaty
from forecast.modeling.design import encode
from forecast.modeling.encoding import Encoding
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel

YEARS, STATES, TREATIES = [2000, 2001, 2002], [2, 20, 70, 200], ["big", "pair", "late"]


def table() -> xr.Dataset:
    """What `treaty_features` would say: `late` has one member until 2002."""
    size = np.array([[3, 2, 0], [3, 2, 0], [4, 2, 2]], dtype=float)
    in_force = size >= 2
    depth = np.array([[4.0, 0.0, 1.0], [2.0, 0.0, 1.0], [2.0, 0.0, 1.0]])
    depth = np.where(in_force, depth, np.nan)
    defense = np.where(in_force, [1.0, 0.0, 1.0], np.nan)
    return xr.Dataset(
        {
            "depth": (("year", "treaty"), depth),
            "defense": (("year", "treaty"), defense),
            "flat": (("year", "treaty"), np.where(in_force, 1.0, np.nan)),
            "in_force": (("year", "treaty"), in_force),
        },
        coords={"year": YEARS, "treaty": TREATIES},
    )


def world() -> xr.Dataset:
    """big: 2, 20, 70 (and 200 from 2002); pair: 2, 20; late: 70 alone, with 200 from 2002."""
    member = np.zeros((3, 3, 4), dtype=bool)
    member[:, 0, :3] = member[2, 0, 3] = True
    member[:, 1, :2] = True
    member[:, 2, 2] = member[2, 2, 3] = True
    return xr.Dataset(
        {
            "treaty_member": (("year", "treaty", "state"), member),
            "obligation_covered": ("year", np.ones(3, dtype=bool)),
        },
        coords={"year": YEARS, "treaty": TREATIES, "state": STATES},
    )


@pytest.fixture(autouse=True)
def _features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treaty, "treaty_features", lambda world, **_: table())


def model(*features: dict[str, Any], weights: str = "share", **keys: Any) -> ModelSpec:
    level = {
        "weights": weights,
        "pre_treatment": True,
        "prior": {"sd": 0.5},
        "scale": {"sd": 0.7},
        "reason": "test",
        "feature": list(features) or [feature("depth"), feature("defense")],
    }
    base = {"unit": "state-year", "population": "all", "term": [], "smooth": [], "varying": []}
    return ModelSpec.from_dict(content(**(base | {"alliance_level": level} | keys)))


def feature(name: str, **keys: Any) -> dict[str, Any]:
    return {"feature": name, "reason": "test"} | keys


def state_panel(given: xr.Dataset | None = None, years: tuple[int, ...] = (2001, 2002)) -> Panel:
    """Each state in each year; treaties are lagged, so 2001 and 2002 see 2000 and 2001."""
    data = xr.Dataset(
        {"outcome": ("row", np.tile([0.0, 1, 0, 0], len(years)))},
        coords={
            "year": ("row", np.repeat(years, 4)),
            "ccode": ("row", np.tile(STATES, len(years))),
        },
    )
    base: dict[str, Any] = {"unit": "state-year", "population": "all"}
    return panel(data, **base, world=world() if given is None else given)


# ------------------------------------------------------------------------------------ errors


def test_only_for_state_years() -> None:
    with pytest.raises(SpecificationError, match=r"\[alliance_level\] needs unit 'state-year'"):
        model(unit="dyad-year")


def test_needs_the_world() -> None:
    with pytest.raises(ArgumentError, match="needs the panel's world"):
        encode(model(), panel(state_panel().data, unit="state-year", population="all"))


def test_unknown_treaty_feature() -> None:
    with pytest.raises(SpecificationError, match=r"'deepth'; did you mean 'depth'\?.*defense"):
        encode(model(feature("deepth")), state_panel())


def test_constant_treaty_feature() -> None:
    with pytest.raises(SpecificationError, match="'flat' is the same for every treaty-year"):
        encode(model(feature("flat")), state_panel())


def test_years_without_coverage_are_not_years_without_alliances() -> None:
    given = world().assign(obligation_covered=("year", [False, True, True]))
    with pytest.raises(CoverageError, match=r"row of 2001 needs the treaties of 2000.*2001-2002"):
        encode(model(), state_panel(given))


def test_missing_treaty_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    gap = table()
    gap["depth"][1, 0] = np.nan
    monkeypatch.setattr(treaty, "treaty_features", lambda world, **_: gap)
    with pytest.raises(DataError, match="'depth' is missing for 'big' in 2001"):
        encode(model(), state_panel())
    encoding = encode(model(feature("depth", missing="mean")), state_panel())[1]
    assert encoding.apply(state_panel()).imputed == {"alliance:depth": 1}


# ------------------------------------------------------------------------------------ values


def test_shares_by_hand() -> None:
    design, encoding = encode(model(), state_panel())
    block = design.blocks[0]
    assert (block.name, block.structure, block.scale_prior.scale) == ("alliance", "iid", 0.7)
    assert block.levels.tolist() == ["big", "pair"]
    # `late` has one member: it is no alliance. State 200 is in none.
    expected = [[0.5, 0.5], [0.5, 0.5], [1, 0], [0, 0]] * 2
    np.testing.assert_array_equal(block.matrix.toarray(), expected)
    # Membership weights: big 2 and pair 1 in each year, so depths 4, 2 and 0 weigh 2 each.
    mean, sd = 2.0, np.sqrt((2**2 + 0 + 2**2) / 3)
    big, pair = (4 - mean) / (2 * sd), (0 - mean) / (2 * sd)
    assert design.names == ("intercept", "alliance:depth", "alliance:defense")
    np.testing.assert_allclose(design.X[:4, 1], [(big + pair) / 2, (big + pair) / 2, big, 0])
    np.testing.assert_allclose(design.X[:4, 2], [1 / 2 - 2 / 3, 1 / 2 - 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(design.X[:, 1].sum(), 0.0, atol=1e-12)
    np.testing.assert_array_equal(design.prior_sd, [1.0, 0.5, 0.5])
    assert encoding.term_slices == {"alliance:depth": [1], "alliance:defense": [2]}


def test_weights_of_one_add_up() -> None:
    design, _ = encode(model(weights="one"), state_panel())
    np.testing.assert_array_equal(
        design.blocks[0].matrix.toarray()[:4], [[1, 1], [1, 1], [1, 0], [0, 0]]
    )
    # big 3 + 3, pair 2 + 2
    big, pair = 1 - 0.6, 0 - 0.6
    np.testing.assert_allclose(design.X[:4, 2], [big + pair, big + pair, big, 0])


def test_new_treaties_and_later_years() -> None:
    encoding = encode(model(varying=[varying("state", 0.5)]), state_panel())[1]
    rows = encoding.apply(state_panel(years=(2003,)))
    state, alliance = rows.blocks
    assert state.name == "state"
    assert alliance.unknown_levels == ("late",)
    np.testing.assert_array_equal(
        alliance.matrix.toarray(), [[0.5, 0.5], [0.5, 0.5], [0.5, 0], [0.5, 0]]
    )
    np.testing.assert_array_equal(alliance.unknown.toarray()[:, 0], [0, 0, 0.5, 0.5])
    # A new treaty has features, so only its deviation is unknown.
    code = encoding.alliance
    assert code is not None
    late = (np.array([1.0, 1.0]) - code.center) / np.array(code.scale)
    big = (np.array([2.0, 1.0]) - code.center) / np.array(code.scale)
    np.testing.assert_allclose(rows.X[3, 1:], (late + big) / 2)


def test_json_round_trip_is_exact() -> None:
    encoding = encode(model(), state_panel())[1]
    back = Encoding.from_dict(json.loads(json.dumps(encoding.to_dict())))
    assert back == encoding
    np.testing.assert_array_equal(back.apply(state_panel()).X, encoding.apply(state_panel()).X)
