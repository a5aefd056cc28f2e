"""Rival theories on the page: what each says of a scenario, and what the record says of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.report.sections import View
from forecast.risk.rival_words import points_words, rival_answers, rival_table
from forecast.simulation.rivals import REFUTED
from forecast.text import slug

__all__ = ["rival_tables", "rival_views", "standing_view"]

#: Pairs in the table beside the page, on the page, and in words.
_PAIRS, _SHOWN, _TOLD = 200, 10, 3
_FACTS = (
    "says", "standing", "why", "log_evidence", "log_evidence_error", "evidence_behind",
    "counts_twice", "log_score", "score_behind", "score_behind_lower", "score_behind_upper",
    "scored_years", "scored_data",
)  # fmt: skip


def rival_tables(results: Mapping[str, xr.Dataset]) -> dict[str, pd.DataFrame]:
    """Tables of the theories and of each scenario under them, by the name of their files.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        By scenario, from `forecast.simulation.rivals.simulate_rivals`.
    """
    found: dict[str, pd.DataFrame] = {}
    for name, result in results.items():
        # The model is the same under every scenario, and so is what the record says of theories.
        columns = {fact: result[fact].to_numpy() for fact in _FACTS}
        found["theories"] = pd.DataFrame({"theory": result["theory"].to_numpy()} | columns)
        found[_stem(name)] = rival_table(result, top=_PAIRS)
    return found


def rival_views(name: str, results: Mapping[str, xr.Dataset]) -> dict[str, Any] | None:
    """Sentences on the first pairs, and a table of pairs by theory; None if not asked for.

    Parameters
    ----------
    name : str
        Of the scenario.
    results : mapping of str to xarray.Dataset
        As for `rival_tables`.
    """
    if name not in results:
        return None
    result = results[name]
    table = rival_table(result, top=_SHOWN)
    names = result["theory"].to_numpy().astype(str)
    out = result["standing"].to_numpy() == REFUTED
    order = [*names[~out].tolist(), *names[out].tolist()]  # those without a vote last
    rows = [
        (f"{a} – {b}", *(points_words(each.set_index("theory").loc[t].to_dict()) for t in order))
        for (a, b), each in table.groupby(["state_a", "state_b"], sort=False)
    ]
    level, last = str(table["interval"].iloc[0]), int(table["last_year"].iloc[0])
    return {
        "answers": rival_answers(result, top=_TOLD),
        "pairs": View(
            f"The paired difference in percentage points by the end of {last}, under each theory"
            f" ({level}); those without a vote last",
            ("Pair", *(f"#{t} (refuted)" if t in names[out] else f"#{t}" for t in order)),
            rows,
            _stem(name),
        ),
    }


def standing_view(tables: Mapping[str, pd.DataFrame]) -> View | None:
    """What each theory says, and what the record says of it; None if not asked for."""
    if "theories" not in tables:
        return None
    return View(
        "The theories, and what the record says of each: log marginal likelihood of the years of"
        " the fit, and sum of the log probabilities of forecasts out of sample (larger is better)",
        ("Theory", "What it says", "Standing", "#Log evidence", "#Log score", "Why"),
        [
            (str(f["theory"]), str(f["says"]), str(f["standing"]), _number(f["log_evidence"]),
             _number(f["log_score"]), _why(f))
            for _, f in tables["theories"].iterrows()
        ],
        "theories",
    )  # fmt: skip


def _stem(name: str) -> str:
    return f"scenario_{slug(name)}_theories"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1f}".replace("-", "−")


def _why(facts: pd.Series) -> str:
    more = [
        "its priors have seen some of these conflicts, which are counted twice"
        if facts["counts_twice"]
        else "",
        "scored on the record as it was before the data changed"
        if facts["scored_years"] and not facts["scored_data"]
        else "",
    ]
    return "; ".join(filter(None, [str(facts["why"]), *more]))
