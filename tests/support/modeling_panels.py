"""Small panels and specifications, written by hand, for the tests of forecast/modeling."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel


def term(name: str, **keys: Any) -> dict[str, Any]:
    """A [[term]] that reads the panel's own column `name`."""
    base = {
        "name": name,
        "family": "power",
        "pre_treatment": True,
        "prior": {"sd": 1.0},
        "reason": "test",
    }
    return base | keys


def varying(name: str, sd: float, **keys: Any) -> dict[str, Any]:
    return {"name": name, "scale": {"sd": sd}, "reason": "test"} | keys


def content(**keys: Any) -> dict[str, Any]:
    """A valid model file as a mapping."""
    base: dict[str, Any] = {
        "name": "hand",
        "description": "A model of a hand-made panel.",
        "unit": "dyad-year",
        "population": "politically_relevant",
        "intercept": {"reason": "test"},
        "era": [
            {"name": "early", "first": 1990, "last": 1999},
            {"name": "late", "first": 2000},
        ],
        "term": [
            term("border"),
            term("ratio", family="dependency"),
            term("pact", family="deterrence", prior={"sd": 0.5}),
        ],
        "smooth": [
            {
                "name": "peace",
                "knots": [0, 1, 4],
                "family": "history",
                "pre_treatment": False,
                "prior": {"mean": -1.0, "sd": 2.0},
                "reason": "test",
            }
        ],
        "varying": [
            varying("state", 0.5),
            varying("dyad", 1.0),
            varying("era", 0.3, structure="random_walk", step=5),
            varying("slope", 0.25, families=["dependency", "deterrence"]),
        ],
    }
    return base | keys


def spec(**keys: Any) -> ModelSpec:
    return ModelSpec.from_dict(content(**keys))


def panel(data: xr.Dataset, **keys: Any) -> Panel:
    base: dict[str, Any] = {
        "world": None,
        "tables": None,
        "unit": "dyad-year",
        "population": "politically_relevant",
        "outcome": "onset",
        "lag": 1,
        "fingerprint": "hand",
    }
    return Panel(data=data, **(base | keys))


def rows(years: list[int], pairs: list[tuple[int, int]], **columns: list[float]) -> xr.Dataset:
    a, b = zip(*pairs, strict=True)
    return xr.Dataset(
        {name: ("row", np.array(values, dtype=np.float64)) for name, values in columns.items()},
        coords={
            "year": ("row", np.array(years)),
            "ccode_a": ("row", np.array(a)),
            "ccode_b": ("row", np.array(b)),
        },
    )


def hand_rows() -> xr.Dataset:
    """Eight rows, three states, two eras, three steps of five years."""
    return rows(
        [1991, 1992, 1993, 1994, 2001, 2002, 2003, 2004],
        [(2, 20), (2, 20), (2, 70), (20, 70), (2, 20), (2, 70), (2, 70), (20, 70)],
        outcome=[0, 1, 0, 0, 0, 0, 1, 0],
        border=[1, 1, 1, 0, 1, 1, 1, 0],
        ratio=[1, 2, 3, 4, 5, 6, 7, 8],
        pact=[1, 0, 0, 0, 1, 0, 1, 0],
        peace=[0, 1, 2, 3, 4, 5, 6, 0],
    )


def hand_panel() -> Panel:
    return panel(hand_rows())


def random_panel(rng: np.random.Generator, n: int = 400) -> Panel:
    """Rows of 12 states over 1990-2012 with all columns of `content`."""
    a = rng.integers(1, 12, size=n)
    b = a + rng.integers(1, 5, size=n)
    data = rows(
        rng.integers(1990, 2013, size=n).tolist(),
        list(zip(a.tolist(), b.tolist(), strict=True)),
        outcome=(rng.random(n) < 0.15).tolist(),
        border=(rng.random(n) < 0.3).tolist(),
        ratio=rng.gamma(2.0, size=n).tolist(),
        pact=(rng.random(n) < 0.4).tolist(),
        peace=rng.integers(0, 30, size=n).tolist(),
    )
    return panel(data)
