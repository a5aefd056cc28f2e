"""Tables of what the scenarios change, and the edits in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from forecast.errors import ForecastError
from forecast.simulation.split import part_columns
from forecast.sources.codes import resolve_state, state_label
from forecast.sources.tables import Tables

__all__ = ["WORLD", "dyad_table", "edit_words", "parties", "region_table", "state_table"]

#: The last row of the tables of regions.
WORLD = "World"
_SUBJECT = re.compile(
    r"^(?:obligations of (?P<amended>.+?) under .+|(?P<who>.+?) (?P<verb>join|leave|form) .+"
    r"|(?P<alliance>.+) is dissolved on .+)$"
)
_WORLDS = ("status_quo", "scenario", "difference")


def _estimates(variable: xr.DataArray, worlds: Sequence[str] = _WORLDS) -> dict[str, np.ndarray]:
    """Mean, lower and upper end per world as flat columns, years varying slowest."""
    return {
        world if estimate == "mean" else f"{world}_{estimate}": variable.sel(
            world=world, estimate=estimate
        )
        .to_numpy()
        .ravel()
        for world in worlds
        for estimate in ("mean", "lower", "upper")
    }


def _labelled(table: pd.DataFrame, variable: xr.DataArray) -> pd.DataFrame:
    return table.assign(interval=str(variable.attrs.get("interval", "")))


def parties(edits: Sequence[str], tables: Tables, *, year: int) -> set[int]:
    """COW numbers of the states that the sentences of the edits name, members included.

    Parameters
    ----------
    edits : sequence of str
        Sentences of `forecast.simulation.scenario.Edit`.
    tables : Tables
        States, and the members of an alliance that is dissolved.
    year : int
        Year in which names are resolved.

    Returns
    -------
    set of int
    """
    found: set[int] = set()
    for sentence in edits:
        match = _SUBJECT.match(sentence)
        if match is None:
            continue
        who = match["amended"] or match["who"]
        if who and who != "all members":
            found |= {_code(name, tables, year) for name in who.split(", ")} - {-1}
        else:
            title = match["alliance"] or sentence.split(" under ")[-1].split(" become ")[0]
            named = (tables.alliances["short_name"] == title) | (
                tables.alliances["alliance_id"] == title
            )
            ids = tables.alliances.loc[named, "alliance_id"]
            inside = tables.members["alliance_id"].isin(ids) & tables.members["end"].isna()
            found |= set(tables.members.loc[inside, "ccode"].astype(int))
    return found


def _code(name: str, tables: Tables, year: int) -> int:
    try:
        return resolve_state(tables, name, year=year)
    except ForecastError:
        return -1


def edit_words(sentence: str, tables: Tables, *, year: int) -> str:
    """Sentence of an edit with states by name: 'Ukraine joins NATO on 2027-01-01'."""
    match = _SUBJECT.match(sentence)
    who = match and (match["amended"] or match["who"])
    if not match or not who or who == "all members":
        return sentence
    codes = [_code(name, tables, year) for name in who.split(", ")]
    names = [
        state_label(tables, code, year=year) if code >= 0 else given
        for code, given in zip(codes, who.split(", "), strict=True)
    ]
    subject = names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"
    words = sentence.replace(who, subject, 1)
    if len(names) == 1 and match["verb"]:
        words = words.replace(f"{subject} {match['verb']} ", f"{subject} {match['verb']}s ", 1)
    return words


def dyad_table(result: xr.Dataset, edited: set[int]) -> pd.DataFrame:
    """Cumulative risks of every dyad and year under both worlds, and the paired difference.

    ``reach`` says how the edits reach the pair: ``"party"`` (one of the two is named in them),
    ``"spill-over"`` (a third pair whose own alliance features change) or ``"feedback"`` (a
    third pair that is reached only by the conflicts of others). ``own`` and ``contagion`` with
    their intervals are the two parts of the difference; ``leaves_range`` names features that leave
    the range of the fit, ``percentile_before`` and ``percentile_after`` say how unusual the pair's
    alliances are without and with the edits, by the last year.
    """
    variable = result["cumulative_risk"]
    a, b = result["ccode_a"].to_numpy(), result["ccode_b"].to_numpy()
    years = result["year"].to_numpy()
    named = np.isin(a, list(edited)) | np.isin(b, list(edited))
    reach = np.where(named, "party", np.where(result["changed"], "spill-over", "feedback"))
    names = dict(zip(result["state"].to_numpy(), result["state_name"].to_numpy(), strict=True))
    each = {
        "ccode_a": a,
        "ccode_b": b,
        "state_a": np.array([names[code] for code in a]),
        "state_b": np.array([names[code] for code in b]),
        "region": result["dyad_region"].to_numpy(),
        "reach": reach,
        "leaves_range": _left(result["leaves_range"]),
        **{
            name: result["distance_percentile"].sel(world=world).to_numpy()
            for name, world in (
                ("percentile_before", "status_quo"),
                ("percentile_after", "scenario"),
            )
        },
    }
    columns = {name: np.tile(values, years.size) for name, values in each.items()}
    columns["last_year"] = np.repeat(years, a.size)
    parts = part_columns(result["difference_parts"])
    return _labelled(pd.DataFrame(columns | _estimates(variable) | parts), variable)


def _left(leaves: xr.DataArray) -> np.ndarray:
    """Names of the features of each pair that leave the range, one string a pair."""
    found = np.full(leaves.sizes["dyad"], "", dtype=object)
    for row in np.flatnonzero(leaves.any("term").to_numpy()):
        found[row] = ", ".join(leaves["term"].to_numpy()[leaves.to_numpy()[:, row]])
    return found.astype(str)


def state_table(result: xr.Dataset, edited: set[int]) -> pd.DataFrame:
    """Probability that a state is a party to at least one onset, by year, under both worlds."""
    variable = result["state_risk"]
    code, years = result["state"].to_numpy(), result["year"].to_numpy()
    columns = {
        "ccode": np.tile(code, years.size),
        "state": np.tile(result["state_name"].to_numpy(), years.size),
        "named_in_edits": np.tile(np.isin(code, list(edited)), years.size),
        "last_year": np.repeat(years, code.size),
    }
    return _labelled(pd.DataFrame(columns | _estimates(variable)), variable)


def region_table(result: xr.Dataset) -> pd.DataFrame:
    """Dyadic onsets by region and year with predictive intervals, under each world there is.

    The last of the regions is the world.
    """
    every = result["world_onsets"].expand_dims(region=[WORLD], axis=-1)
    variable = xr.concat([result["region_onsets"], every], dim="region").assign_attrs(every.attrs)
    region, years = variable["region"].to_numpy(), result["year"].to_numpy()
    worlds = [name for name in _WORLDS if name in result["world"]]
    columns = {
        "region": np.tile(region, years.size),
        "year": np.repeat(years, region.size),
    }
    return _labelled(pd.DataFrame(columns | _estimates(variable, worlds)), variable)
