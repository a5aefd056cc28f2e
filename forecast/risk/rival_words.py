"""What rival theories say of pairs: a table, and a sentence in which no refuted one has a vote."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.simulation.levels import as_severity, of_level
from forecast.simulation.rivals import REFUTED
from forecast.text import rounding_step

__all__ = [
    "DEPENDS",
    "points_words",
    "rival_answer",
    "rival_answers",
    "rival_reasons",
    "rival_table",
]

DEPENDS = "the answer depends on the theory"

Pair = tuple[int | str, int | str]


def rival_table(
    result: xr.Dataset, pairs: Sequence[Pair] | None = None, *, top: int = 10
) -> pd.DataFrame:
    """Theory by pair: the difference under each, and what the record says of it.

    Parameters
    ----------
    result : xarray.Dataset
        From `forecast.simulate` with theories.
    pairs : sequence of (int or str, int or str), optional
        COW numbers or names of states; by default the pairs whose risk changes most under any
        theory that stands.
    top : int
        How many, if none are given.

    Returns
    -------
    pandas.DataFrame
        One row per pair and theory: ``state_a``, ``state_b``, ``ccode_a``, ``ccode_b``,
        ``last_year``, ``theory``, ``standing``, ``status_quo``, ``scenario``, ``difference``
        (probability of at least one onset by the end of that year), ``lower``, ``upper``,
        ``interval``, and ``log_evidence``, ``evidence_behind``, ``log_score``,
        ``score_behind``, ``why`` of the theory.

    Raises
    ------
    ArgumentError
        The result has no theories or no scenario.
    UnknownNameError
        A state that the result has not.
    """
    final = _final(result)
    if pairs is None:
        stands = result["standing"].to_numpy() != REFUTED
        difference = final.sel(world="difference", estimate="mean").to_numpy()
        most = np.abs(np.where(stands[:, None], difference, 0.0)).max(axis=0)
        at = np.argsort(-most, kind="stable")[:top].tolist()
    else:
        at = [_place(result, a, b) for a, b in pairs]
    names = _names(result)
    rows = []
    for i in at:
        pair = final.isel(dyad=i)
        a, b = int(pair["ccode_a"]), int(pair["ccode_b"])
        for t, theory in enumerate(result["theory"].to_numpy().tolist()):
            one = pair.isel(theory=t)
            rows.append(
                {
                    "state_a": names[a],
                    "state_b": names[b],
                    "ccode_a": a,
                    "ccode_b": b,
                    "last_year": int(final["year"]),
                    "theory": theory,
                    "standing": str(result["standing"].to_numpy()[t]),
                    **{
                        world: float(one.sel(world=world, estimate="mean"))
                        for world in ("status_quo", "scenario", "difference")
                    },
                    **{
                        end: float(one.sel(world="difference", estimate=end))
                        for end in ("lower", "upper")
                    },
                    "interval": str(result["cumulative_risk"].attrs.get("interval", "")),
                    **{
                        name: float(result[name].to_numpy()[t])
                        for name in ("log_evidence", "evidence_behind", "log_score", "score_behind")
                    },
                    "why": str(result["why"].to_numpy()[t]),
                }
            )
    return pd.DataFrame(rows)


def rival_answer(result: xr.Dataset, state_a: int | str, state_b: int | str) -> str:
    """What the theories say of one pair, in words.

    The verdict is of those that stand: they agree, or the answer depends on the theory. What a
    refuted one says comes last; `rival_reasons` has what refutes it.

    Parameters
    ----------
    result, state_a, state_b
        As for `rival_table`.
    """
    table = rival_table(result, [(state_a, state_b)])
    stands = table[table["standing"] != REFUTED]
    refuted = table[table["standing"] == REFUTED]
    head = table.iloc[0]
    parts = [
        f"{head['state_a']} – {head['state_b']}{_level(result)}, by the end of {head['last_year']}:"
        f" {_verdict(stands)}.",
        f"Difference in percentage points ({head['interval']}): "
        + "; ".join(f"{row['theory']} {points_words(row)}" for row in stands.to_dict("records"))
        + ".",
    ]
    if len(refuted):
        parts.append(
            "Refuted by the record, and without a vote: "
            + "; ".join(
                f"{row['theory']} {points_words(row)}" for row in refuted.to_dict("records")
            )
            + "."
        )
    return " ".join(parts)


def _level(result: xr.Dataset) -> str:
    """Of which disputes the risks are, where it is not of any."""
    severity = as_severity(result.attrs.get("severity", "onset"))
    return "" if severity == "onset" else f", {of_level('onset', severity)}"


def rival_reasons(result: xr.Dataset) -> list[str]:
    """One sentence on each theory: whether it stands, and what the record says of it."""
    _final(result)
    names = ("theory", "standing", "why", "counts_twice")
    return [
        f"{theory}: {standing}; {why}"
        + (". Its priors have seen some of these conflicts, counted twice." if twice else ".")
        for theory, standing, why, twice in zip(
            *(result[name].to_numpy().tolist() for name in names), strict=True
        )
    ]


def rival_answers(result: xr.Dataset, *, top: int) -> list[str]:
    """`rival_answer` of the pairs whose risk changes most under any theory that stands.

    Parameters
    ----------
    result, top
        As for `rival_table`.
    """
    pairs = rival_table(result, top=top).drop_duplicates(["ccode_a", "ccode_b"])
    return [
        rival_answer(result, int(a), int(b))
        for a, b in zip(pairs["ccode_a"], pairs["ccode_b"], strict=True)
    ]


def _verdict(stands: pd.DataFrame) -> str:
    low, high = stands["lower"].to_numpy(), stands["upper"].to_numpy()
    up, down = stands["theory"][low > 0.0].tolist(), stands["theory"][high < 0.0].tolist()
    if len(stands) == 0:
        return "every theory is refuted by the record, and none is left to answer"
    if (low == 0.0).all() and (high == 0.0).all():
        return "no theory that stands sees a difference"
    if len(up) == len(stands):
        return "every theory that stands says more risk under the scenario"
    if len(down) == len(stands):
        return "every theory that stands says less risk under the scenario"
    if up and down:
        return f"{DEPENDS}: more risk by {', '.join(up)}, less by {', '.join(down)}"
    clear, word = (up, "more") if up else (down, "less")
    if clear:
        return f"{DEPENDS}: {word} risk by {', '.join(clear)}, and no clear sign by the others"
    return f"{DEPENDS}: under each one that stands what is left covers zero"


def points_words(row: Mapping[Hashable, Any]) -> str:
    """Difference of a row of `rival_table` in percentage points, with its interval."""
    mean, lower, upper = (100.0 * float(row[k]) for k in ("difference", "lower", "upper"))
    if lower == mean == upper == 0.0:
        return "0, by construction"
    step = rounding_step(mean, [upper - lower])
    near = min(abs(lower), abs(upper))
    if lower * upper > 0.0 and round(near / step) == 0:  # it excludes zero and must not end with it
        step = rounding_step(near)
    places = max(0, -round(np.log10(step)))
    one, low, high = (f"{round(v / step) * step:+.{places}f}" for v in (mean, lower, upper))
    return f"{one} ({low} to {high})".replace("-", "−")


def _final(result: xr.Dataset) -> xr.DataArray:
    if "theory" not in result.dims or "difference" not in result["world"]:
        raise ArgumentError(
            "The result has no theories, or no scenario: simulate(fit, scenario, theories=[…])."
        )
    return result["cumulative_risk"].isel(year=-1)


def _names(result: xr.Dataset) -> dict[int, str]:
    codes, names = result["state"].to_numpy().tolist(), result["state_name"].to_numpy().tolist()
    return dict(zip(map(int, codes), map(str, names), strict=True))


def _place(result: xr.Dataset, state_a: int | str, state_b: int | str) -> int:
    a, b = sorted((_code(result, state_a), _code(result, state_b)))
    here = (result["ccode_a"].to_numpy() == a) & (result["ccode_b"].to_numpy() == b)
    if not here.any():
        raise ArgumentError(f"The result has no pair {state_a!r} – {state_b!r}.")
    return int(np.flatnonzero(here)[0])


def _code(result: xr.Dataset, state: int | str) -> int:
    """COW number of a state of the result, by number, name or abbreviation."""
    known = {name.casefold(): code for code, name in _names(result).items()}
    pairs = zip(
        result["dyad"].to_numpy().tolist(),
        result["ccode_a"].to_numpy().tolist(),
        result["ccode_b"].to_numpy().tolist(),
        strict=True,
    )
    for label, a, b in pairs:
        first, _, second = str(label).partition("-")
        known |= {first.casefold(): int(a), second.casefold(): int(b)}
    known |= {str(code): code for code in _names(result)}
    found = known.get(str(state).casefold())
    if found is None:
        raise UnknownNameError("state", state, [*_names(result).values()])
    return found
