"""Rival theories on the page: what each says of a scenario, and what the record says of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import xarray as xr

from forecast.report.views import Row, Tables, View, pair, view
from forecast.risk.rival_words import points_words, rival_answers, rival_table
from forecast.simulation.rivals import REFUTED
from forecast.text import number, slug

__all__ = ["rival_tables", "rival_views", "standing_view"]

#: Pairs in the table beside the page, on the page, and in words.
_PAIRS, _SHOWN, _TOLD = 200, 10, 3
_FACTS = (
    "says", "standing", "why", "log_evidence", "log_evidence_error", "evidence_behind",
    "counts_twice", "log_score", "score_behind", "score_behind_lower", "score_behind_upper",
    "scored_years", "scored_data",
)  # fmt: skip


def rival_tables(results: Mapping[str, xr.Dataset]) -> dict[str, pd.DataFrame]:
    """Tables of the theories and of each scenario under them (`simulate_rivals`), by file."""
    found: dict[str, pd.DataFrame] = {}
    for name, result in results.items():
        # The model is the same under every scenario, and so is what the record says of theories.
        columns = {fact: result[fact].to_numpy() for fact in _FACTS}
        found["theories"] = pd.DataFrame({"theory": result["theory"].to_numpy()} | columns)
        found[_stem(name)] = rival_table(result, top=_PAIRS)
    return found


def rival_views(name: str, results: Mapping[str, xr.Dataset]) -> dict[str, Any] | None:
    """Sentences on the first pairs of a scenario, and a table by theory; None if not asked for."""
    if name not in results:
        return None
    result = results[name]
    table = rival_table(result, top=_SHOWN)
    names = result["theory"].to_numpy().astype(str)
    out = dict(zip(names, (result["standing"].to_numpy() == REFUTED).tolist(), strict=True))
    order = sorted(names, key=lambda theory: out[theory])
    rows = {
        key: part.set_index("theory").to_dict("index")
        for key, part in table.groupby(["state_a", "state_b"], sort=False)
    }

    def under(theory: str) -> Callable[[Row], str]:
        return lambda r: points_words(rows[r["state_a"], r["state_b"]][theory])

    level, last = str(table["interval"].iloc[0]), int(table["last_year"].iloc[0])
    return {
        "answers": rival_answers(result, top=_TOLD),
        "pairs": view(
            f"The paired difference in percentage points by the end of {last}, under each theory"
            f" ({level}); those without a vote last",
            _stem(name),
            table.drop_duplicates(["state_a", "state_b"]),
            {"Pair": pair, **{f"#{t}{' (refuted)' * out[t]}": under(t) for t in order}},
        ),
    }


def standing_view(tables: Tables) -> View | None:
    """What each theory says, and what the record says of it; None if not asked for."""
    if "theories" not in tables:
        return None
    return view(
        "The theories, and what the record says of each: log marginal likelihood of the years of"
        " the fit, and sum of the log probabilities of forecasts out of sample (larger is better)",
        "theories",
        tables["theories"],
        {
            "Theory": "theory",
            "What it says": "says",
            "Standing": "standing",
            "#Log evidence": lambda r: number(r["log_evidence"], 1),
            "#Log score": lambda r: number(r["log_score"], 1),
            "Why": _why,
        },
    )


def _stem(name: str) -> str:
    return f"scenario_{slug(name)}_theories"


def _why(facts: Row) -> str:
    more = [
        "its priors have seen some of these conflicts, which are counted twice"
        if facts["counts_twice"]
        else "",
        "scored on the record as it was before the data changed"
        if facts["scored_years"] and not facts["scored_data"]
        else "",
    ]
    return "; ".join(filter(None, [str(facts["why"]), *more]))
