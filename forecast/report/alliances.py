"""What changed in the alliance graph in the last years, and what that did to the features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.features import get_feature
from forecast.report import views
from forecast.report.views import Row, View, view
from forecast.sources.codes import state_label
from forecast.sources.tables import OBLIGATIONS, Tables
from forecast.text import number

__all__ = ["FEATURES", "alliance_changes", "alliance_features", "alliance_views"]

#: Features shown before and after a change, with their options.
FEATURES: dict[str, dict[str, Any]] = {
    "own_expansion": {"window": 5},
    "external_share": {},
    "commitment_balance": {},
}
#: Years of the world before the first change that the features above look back on.
_HISTORY = 8
#: Decimals of the features on the page, and rows of them that stand there unfolded.
_PLACES = {"own_expansion": 0, "external_share": 2, "commitment_balance": 2}
_SHOWN = 16


def alliance_changes(tables: Tables, *, years: int = 10) -> pd.DataFrame:
    """Pacts concluded and ended, accessions, withdrawals and amended obligations, newest first.

    Of so many years up to the end of the coverage of alliances. ``date`` is ISO (of an end or a
    withdrawal the last day in force), ``ccodes`` are COW numbers, space-separated, ``obligations``
    every class that one of the states owes.
    """
    last = tables.coverage["alliances"].last
    window = (pd.Timestamp(last - years + 1, 1, 1), pd.Timestamp(last, 12, 31))
    pacts = tables.alliances[["alliance_id", "short_name", "start", "end"]]
    spells = tables.members.merge(pacts, on="alliance_id", suffixes=("", "_pact"))
    spells = spells.sort_values(["alliance_id", "ccode", "start"], kind="stable")
    same = (spells["alliance_id"] == spells["alliance_id"].shift()) & (
        spells["ccode"] == spells["ccode"].shift()
    )
    # A spell that begins the day after the last one ended changes what is owed, not who is in.
    gap = (spells["start"] - spells["end"].shift()).dt.days
    continued = same & (gap <= 1)
    continues = continued.shift(-1, fill_value=False).astype(bool)

    def within(dates: pd.Series) -> pd.Series:
        return dates.between(*window)

    begins = within(spells["start"]) & (spells["start"] > spells["start_pact"])
    ended_before_pact = spells["end_pact"].isna() | (spells["end"] < spells["end_pact"])
    parts = {
        "new pact": (spells[within(spells["start_pact"])
                            & (spells["start"] == spells["start_pact"])], "start_pact"),
        "pact ended": (spells[within(spells["end_pact"])
                              & (spells["end"] == spells["end_pact"])], "end_pact"),
        "accession": (spells[begins & ~continued], "start"),
        "obligations changed": (spells[begins & continued], "start"),
        "withdrawal": (
            spells[within(spells["end"]) & ended_before_pact & ~continues], "end"),
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    for change, (chosen, when) in parts.items():
        for key, group in chosen.groupby(["alliance_id", when], sort=True):
            alliance, date = str(key[0]), pd.Timestamp(str(key[1]))
            codes = sorted(int(code) for code in group["ccode"].unique())
            year = date.year
            owed = [name for name in OBLIGATIONS if group[name].any()]
            rows.append(
                {
                    "date": str(date.date()),
                    "year": year,
                    "change": change,
                    "alliance_id": alliance,
                    "alliance": str(group["short_name"].iloc[0]),
                    "states": ", ".join(state_label(tables, code, year=year) for code in codes),
                    "ccodes": " ".join(map(str, codes)),
                    "obligations": ", ".join(owed) or "none recorded",
                    "defense": "defense" in owed,
                }
            )
    columns = ["date", "year", "change", "alliance_id", "alliance", "states", "ccodes",
               "obligations", "defense"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    order = ["date", "alliance_id", "change"]
    return table.sort_values(order, ascending=[False, True, True], ignore_index=True)


def alliance_features(
    world: xr.Dataset, changes: pd.DataFrame, tables: Tables, *, most: int = 6
) -> pd.DataFrame:
    """Alliance features of the states concerned the year before a change and the year after.

    Features rest on defence obligations, so only changes of those are here, and only with at
    most `most` states concerned. A status counts in every year in which it held on some day:
    a withdrawal shows in the year after it, and not yet when that lies past the record.

    One row per change (of `alliance_changes`) and state: ``before_year``, ``after_year``, and per
    feature of `FEATURES` the value ``…_before`` and ``…_after``.
    """
    chosen = changes[changes["defense"] & (changes["ccodes"].str.count(" ") < most)]
    columns = ["date", "change", "alliance", "state", "ccode", "before_year", "after_year"]
    names = [f"{name}_{when}" for name in FEATURES for when in ("before", "after")]
    if chosen.empty:
        return pd.DataFrame(columns=[*columns, *names])
    last = int(tables.coverage["alliances"].last)
    first = max(int(chosen["year"].min()) - 1 - _HISTORY, int(world["year"].min()))
    recent = world.sel(year=slice(first, last))
    values = {
        name: get_feature(name)(recent, **options).sel(year=slice(first, last))
        for name, options in FEATURES.items()
    }
    rows = []
    known = set(recent["state"].to_numpy().tolist())
    for row in chosen.to_dict("records"):
        before, after = int(row["year"]) - 1, min(int(row["year"]) + 1, last)
        for code in (int(c) for c in str(row["ccodes"]).split()):
            if code not in known or before < first:
                continue
            gone = row["change"] in ("pact ended", "withdrawal") and after == row["year"]
            entry: dict[str, Any] = {name: row[name] for name in ("date", "change", "alliance")}
            entry |= {"state": state_label(tables, code, year=int(row["year"])), "ccode": code,
                      "before_year": before, "after_year": after}  # fmt: skip
            for name, value in values.items():
                entry[f"{name}_before"] = float(value.sel(year=before, state=code))
                now = np.nan if gone else float(value.sel(year=after, state=code))
                entry[f"{name}_after"] = now
            rows.append(entry)
    return pd.DataFrame(rows, columns=[*columns, *names])


def alliance_views(tables: views.Tables) -> dict[str, Any]:
    """Changes that involve defence, other changes, features before and after, counts by kind."""
    changes, features = tables["alliance_changes"], tables["alliance_features"]
    defence = changes["defense"].astype(bool)
    columns = {name.capitalize(): name for name in ("date", "change", "alliance", "states",
                                                    "obligations")}  # fmt: skip

    def moved(name: str) -> Callable[[Row], str]:
        return lambda r: " → ".join(
            number(r[f"{name}_{when}"], _PLACES[name]) for when in ("before", "after")
        )

    def features_view(chosen: pd.DataFrame) -> View:
        return view(
            "Alliance features of the states concerned, the year before the change and the year"
            " after: states gained as defenders within five years, share of the capability at a"
            " state's disposal that is its allies' (0–1), and log ratio of protection received to"
            " given (above 0: a net importer of security)",
            "alliance_features", chosen,
            {"Date": "date", "Alliance": "alliance", "Change": "change", "State": "state",
             "#Years": lambda r: f"{r['before_year']} → {r['after_year']}",
             "#Own expansion (states)": moved("own_expansion"),
             "#External share": moved("external_share"),
             "#Commitment balance": moved("commitment_balance")},
        )  # fmt: skip

    return {
        "counts": sorted(changes["change"].value_counts().items()),
        "total": len(changes),
        "defence": view("Changes that concern an obligation of defence", "alliance_changes",
                        changes[defence], columns),
        "others": view("Changes of non-aggression, neutrality or consultation", "alliance_changes",
                       changes[~defence], columns),
        "features": features_view(features[:_SHOWN]),
        "more_features": features_view(features[_SHOWN:]),
    }  # fmt: skip
