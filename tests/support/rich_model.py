"""A dyad model with every kind of term whose value, or whose slope, a simulation changes."""

from __future__ import annotations

from typing import Any

from forecast.inference.fit import Fit
from forecast.modeling.spec import ModelSpec, load_model
from support.known import make_known_fit


def term(name: str, feature: str, family: str = "history", **keys: Any) -> dict[str, Any]:
    base = {"name": name, "feature": feature, "family": family, "pre_treatment": False}
    return base | {"prior": {"sd": 1.0}, "reason": "test"} | keys


def product(name: str, first: str, second: str) -> dict[str, Any]:
    return {"name": name, "of": [first, second], "prior": {"sd": 0.5}, "reason": "test"}


def slopes(sd: float = 0.2, **keys: Any) -> dict[str, Any]:
    return {"name": "slope", "scale": {"sd": sd}, "reason": "test"} | keys


def rich_model() -> ModelSpec:
    """``dyad_onset`` with fading histories, interactions, walking slopes and strata."""
    content = load_model("dyad_onset").to_dict()
    content |= {"name": "rich", "population": "politically_relevant"}
    fading = {"transform": "log1p"}
    content["term"] += [
        term("fade_1", "disputes_decayed", options={"half_life": 1.0}, **fading),
        term("fade_8", "disputes_decayed", transform="sqrt"),
        term("sides", "state_disputes_decayed", side="sum", options={"half_life": 3}, **fading),
        term("others_product", "other_disputes_decayed", side="product", **fading),
        term("system", "system_disputes_decayed"),
        term("system_recent", "system_disputes_recent", options={"window": 5}),
        term("quiet", "long_peace"),
        term("recent_product", "state_disputes_recent", side="product", options={"window": 4}),
        term("rivals", "rivalry", missing="indicator", if_constant="drop"),
        term(
            "record_rivals",
            "rivalry",
            missing="indicator",
            if_constant="drop",
            options={"rivals": "disputes", "rival_window": 12, "rival_onsets": 2},
        ),
        term("land_contiguity", "land_contiguity", "geography", missing="drop"),
    ]
    content["interaction"] += [
        product("rivals_fade", "rivals", "fade_8"),
        product("peace_land", "peace_years", "land_contiguity"),
        product("quiet_sides", "quiet", "sides"),
        product("size_far", "joint_capability", "far"),
        product("record_land", "record_rivals", "land_contiguity"),
        product("size_fade", "joint_capability", "fade_1"),
        product("last_pact", "dispute_last_year", "defense_pact"),
        product("open_land", "under_way", "land_contiguity"),
    ]
    content["varying"] += [
        slopes(structure="random_walk", step=5, terms=["far", "quiet", "rivals_fade"]),
        slopes(by=["land_contiguity"], terms=["defense_pact", "fade_8", "size_far"]),
        slopes(by=["quiet", "far"], terms=["joint_capability", "sides"]),
    ]
    return ModelSpec.from_dict(content)


def rich_fit(known: Fit) -> Fit:
    """Made-up draws of the rich model on the panel of another fit."""
    return make_known_fit(known.panel, model=rich_model())
