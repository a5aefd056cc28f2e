"""What the page shows of states, alliances and scenarios, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from forecast.report.charts import Bar, interval_chart
from forecast.report.words import DEATHS
from forecast.risk.explain import parts_words, support_words
from forecast.simulation.split import SOURCES
from forecast.simulation.support import UNUSUAL
from forecast.text import interval, number, percent, points, slug

__all__ = ["Tables", "View", "alliance_views", "scenario_views", "state_view", "under_way_view"]

Tables = Mapping[str, pd.DataFrame]
#: Rows of features before and after that stand on the page unfolded.
_SHOWN = 16


@dataclass(frozen=True)
class View:
    """A table of the page.

    Attributes
    ----------
    caption : str
        What it shows, with units and intervals.
    columns : tuple of str
        Headings; those of numbers begin with ``#``, which is not shown.
    rows : sequence of tuple of str
        Cells.
    file : str
        Table beside the page that has every row and digit.
    """

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    file: str


def _level(table: pd.DataFrame) -> str:
    return str(table["interval"].iloc[0])


def under_way_view(tables: Tables, longest: int) -> dict[str, Any]:
    """Conflicts under way at the end of the record: the numbers, and what each pair can expect.

    The view of all of them; ``pairs``, how many; ``ended``, the view of the pairs whose conflict
    ended in the last year.
    """
    risks, disputes = tables["risks"], tables["disputes"]
    keys = ["ccode_a", "ccode_b"]
    by = {h: risks[risks["horizon"] == h].set_index(keys) for h in {1, longest}}
    going = disputes[disputes["status"] == "under way"]
    first = int(risks["first_year"].iloc[0])
    years = [(h, first + h - 1) for h in sorted(by)]
    rows = []
    for r in going.to_dict("records"):
        key = (r["ccode_a"], r["ccode_b"])
        cells = _dispute_cells(r)
        for h, _ in years:
            e = by[h].loc[key]
            cells.append(f"{percent(e['still_under_way'])}"
                         f" ({interval(e['still_lower'], e['still_upper'])})")  # fmt: skip
        rows.append((*cells, _with_ends(by[1].loc[key])))
    ended = [
        (*_dispute_cells(r), str(r["end"]), _with_ends(by[1].loc[(r["ccode_a"], r["ccode_b"])]))
        for r in disputes[disputes["status"] == "ended"].to_dict("records")
    ]
    deaths = "#Deaths so far"
    level = f"{risks['interval_level'].iloc[0]:.0%} {risks['interval_kind'].iloc[0]} intervals"
    return {
        "view": View(
            f"A conflict of the two is under way at the end of {first - 1}: since when, whether it"
            f" still is at the end of later years, and whether a further one begins beside it"
            f" ({level} in brackets)",
            ("Pair", "#Under way since", deaths, *(
                f"#Still under way at the end of {year}" for _, year in years
            ), f"#A further one begins in {first}"),
            rows,
            "disputes",
        ),
        "pairs": len(going),
        "ended": View(
            f"A conflict of the two ended in {first - 1}: probability that a new one begins in"
            f" {first} ({level} in brackets)",
            ("Pair", "#Began", deaths.removesuffix(" so far"), "#Ended", f"#A new one in {first}"),
            ended,
            "disputes",
        ),
    }  # fmt: skip


def _dispute_cells(row: Mapping[Any, Any]) -> list[str]:
    """Pair, since when, and deaths."""
    known = row["deaths_class"]
    deaths = "unknown" if pd.isna(known) else DEATHS[int(known)]
    return [f"{row['state_a']} – {row['state_b']}", str(row["since"]) or "unknown", deaths]


def _with_ends(estimate: pd.Series) -> str:
    return f"{percent(estimate['probability'])} ({interval(estimate['lower'], estimate['upper'])})"


def state_view(
    states: pd.DataFrame,
    horizons: Sequence[int],
    spans: Mapping[int, str],
    severity: str = "onset",
) -> View:
    """States by risk: what the map shows, for those who cannot see or point at it."""
    first = states[states["horizon"] == horizons[0]].sort_values(
        ["probability", "ccode"], ascending=[False, True]
    )
    by = {h: states[states["horizon"] == h].set_index("ccode") for h in horizons}
    rows = [
        (
            str(row["state"]),
            str(row["region"]),
            *(
                text
                for h in horizons
                for e in (by[h].loc[row["ccode"]],)
                for text in (percent(e["probability"]), interval(e["lower"], e["upper"]))
            ),
        )
        for row in first.to_dict("records")
    ]
    level = f"{states['interval_level'].iloc[0]:.0%} {states['interval_kind'].iloc[0]} interval"
    return View(
        "Probability that a state is a party to at least one onset"
        f"{' with more than 25 deaths' if severity == 'deaths_25' else ''}, with its {level}",
        ("State", "Region", *(c for h in horizons for c in (f"#{spans[h]}", "#interval"))),
        rows,
        "states" if severity == "onset" else f"states_{severity}",
    )


def alliance_views(tables: Tables) -> dict[str, Any]:
    """Changes that involve defence, other changes, features before and after, counts by kind."""
    changes = tables["alliance_changes"]
    columns = ("Date", "Change", "Alliance", "States", "Obligations")

    def view(chosen: pd.DataFrame, caption: str) -> View:
        rows = [
            (str(r.date), str(r.change), str(r.alliance), str(r.states), str(r.obligations))
            for r in chosen.itertuples()
        ]
        return View(caption, columns, rows, "alliance_changes")

    defence = changes["defense"].astype(bool)
    features = tables.get("alliance_features", pd.DataFrame())
    shown = {"own_expansion": 0, "external_share": 2, "commitment_balance": 2}
    rows = []
    for r in features.to_dict("records"):
        cells = []
        for name, places in shown.items():
            before, after = r[f"{name}_before"], r[f"{name}_after"]
            cells.append(f"{number(before, places)} → {number(after, places)}")
        years = f"{r['before_year']} → {r['after_year']}"
        rows.append((str(r["date"]), str(r["alliance"]), str(r["change"]), str(r["state"]), years,
                     *cells))  # fmt: skip

    def features_view(chosen: list[tuple[str, ...]]) -> View:
        caption = (
            "Alliance features of the states concerned, the year before the change and the year"
            " after: states gained as defenders within five years, share of the capability at a"
            " state's disposal that is its allies' (0–1), and log ratio of protection received to"
            " given (above 0: a net importer of security)"
        )
        headings = ("Date", "Alliance", "Change", "State", "#Years", "#Own expansion (states)",
                    "#External share", "#Commitment balance")  # fmt: skip
        return View(caption, headings, chosen, "alliance_features")

    kinds = changes["change"].value_counts()
    return {
        "counts": [(str(kind), int(kinds[kind])) for kind in sorted(kinds.index)],
        "total": len(changes),
        "defence": view(changes[defence], "Changes that concern an obligation of defence"),
        "others": view(changes[~defence], "Changes of non-aggression, neutrality or consultation"),
        "features": features_view(rows[:_SHOWN]),
        "more_features": features_view(rows[_SHOWN:]),
    }  # fmt: skip


def scenario_views(name: str, tables: Tables) -> dict[str, Any]:
    """Largest changes of one scenario by dyad, on third pairs, by state and by region."""
    stem = f"scenario_{slug(name)}"
    dyads, states = (tables[key] for key in (stem, f"{stem}_states"))
    last = int(dyads["last_year"].max())
    dyads = _largest(dyads[dyads["last_year"] == last])
    states = _largest(states[states["last_year"] == last])
    third = dyads[dyads["reach"] != "party"]
    level = _level(dyads)

    def dyad_rows(chosen: pd.DataFrame) -> list[tuple[str, ...]]:
        return [
            (f"{r['state_a']} – {r['state_b']}", str(r["reach"]), percent(r["status_quo"]),
             percent(r["scenario"]), *_difference(r), *(_part(r, name) for name in SOURCES))
            for r in chosen.to_dict("records")
        ]  # fmt: skip

    columns = (
        "Pair",
        "Reached as",
        "#Status quo",
        "#Scenario",
        "#Difference (points)",
        "#Interval",
        "#Own alliances",
        "#Contagion",
    )
    clear = (dyads["difference_lower"] > 0) | (dyads["difference_upper"] < 0)
    regions = _region_view(tables[f"{stem}_regions"], f"{stem}_regions")
    bars = [
        Bar(f"{r['state_a']} – {r['state_b']}", 100 * r["difference"], 100 * r["difference_lower"],
            100 * r["difference_upper"], series=0 if r["reach"] == "party" else 1)
        for group in (dyads[dyads["reach"] == "party"], third)
        for r in group.head(8).to_dict("records")
    ]  # fmt: skip
    return {
        "last": last,
        "decided": int(clear.sum()),
        "pairs": len(dyads),
        "third_decided": int((clear & (dyads["reach"] != "party")).sum()),
        "changed": int((dyads["reach"] == "spill-over").sum()),
        "level": level,
        "chart": _scenario_chart(name, bars, level),
        "dyads": View(
            f"Largest changes by pair: probability of at least one onset by the end of {last}, and"
            f" the paired difference ({level})",
            columns, dyad_rows(dyads.head(10)), stem,
        ),
        "third": View(
            "Spill-overs: largest changes for pairs in which neither state is named in the edits",
            columns, dyad_rows(third.head(8)), stem,
        ),
        "states": View(
            f"Largest changes by state: probability of being a party to at least one onset by the"
            f" end of {last} ({_level(states)})",
            ("State", "#Status quo", "#Scenario", "#Difference (points)", "#Interval"),
            [
                (str(r["state"]) + (" (named in the edits)" if r["named_in_edits"] else ""),
                 percent(r["status_quo"]), percent(r["scenario"]), *_difference(r))
                for r in states.head(8).to_dict("records")
            ],
            f"{stem}_states",
        ),
        "regions": regions,
        "unusual": _unusual(dyads, stem),
        "begins": _begins(tables, f"{stem}_initiation"),
        "explained": _explained(dyads.iloc[0].to_dict()),
    }  # fmt: skip


def _scenario_chart(name: str, bars: list[Bar], level: str) -> Markup:
    parts = [[bar for bar in bars if bar.series == s] for s in (0, 1)]
    headed = [
        Bar(b.label, b.value, b.lower, b.upper, series=0, heading=title)
        for title, group in zip(
            ("Pairs with a state named in the edits", "Third pairs (spill-overs)"),
            parts,
            strict=True,
        )
        for b in group
    ]
    return interval_chart(
        headed,
        title=f"Largest differences in risk under the scenario {name}",
        axis=f"difference in probability, percentage points ({level})",
        reference=0.0,
    )


def _largest(table: pd.DataFrame) -> pd.DataFrame:
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order]


def _difference(row: Mapping[Any, Any]) -> tuple[str, str]:
    ends = (points(row[f"difference_{end}"], unit=False) for end in ("lower", "upper"))
    return points(row["difference"], unit=False), " to ".join(ends)


def _part(row: Mapping[Any, Any], name: str) -> str:
    """One part of a difference with its interval."""
    mean, *ends = (points(row[key], unit=False) for key in (name, f"{name}_lower", f"{name}_upper"))
    return f"{mean} ({' to '.join(ends)})"


def _begins(tables: Tables, file: str) -> View | None:
    """Ordered pairs whose probability of initiating changes most; None if it was not forecast."""
    if file not in tables:
        return None
    rows = tables[file].head(8).to_dict("records")
    year, level = int(tables[file]["year"].iloc[0]), _level(tables[file])
    return View(
        f"Who would begin: probability that the first state begins a conflict with the second in"
        f" {year} ({level})",
        ("First – second", "#Status quo", "#Scenario", "#Difference (points)", "#Interval"),
        [
            (f"{r['challenger']} – {r['target']}", percent(r["status_quo"]),
             percent(r["scenario"]), *_difference(r))
            for r in rows
        ],
        file,
    )  # fmt: skip


def _explained(row: Mapping[Any, Any]) -> str:
    """Where the largest difference comes from, in words."""
    own, contagion = (
        tuple(float(row[key]) for key in (name, f"{name}_lower", f"{name}_upper"))
        for name in SOURCES
    )
    parts = parts_words(own, contagion, edited=row["reach"] != "feedback")
    left = tuple(filter(None, str(row["leaves_range"]).split(", ")))
    support = support_words(left, row["percentile_before"], row["percentile_after"])
    pair = f"The largest difference is that of {row['state_a']}–{row['state_b']}."
    return " ".join(filter(None, (pair, parts, support)))


def _unusual(dyads: pd.DataFrame, stem: str) -> View:
    """Pairs that the edits take farthest from what the fit has seen, among those they move most."""
    far = dyads[(dyads["percentile_after"] > UNUSUAL) & (dyads["percentile_before"] <= UNUSUAL)]
    far = pd.concat([dyads[dyads["leaves_range"] != ""], far])
    far = _largest(far[~far.index.duplicated()])
    return View(
        "Extrapolation: pairs with the largest differences that the edits take out of what the fit"
        " has seen",
        ("Pair", "#Difference (points)", "#Percentile before", "#Percentile after",
         "Features that leave the range"),
        [
            (f"{r['state_a']} – {r['state_b']}", points(r["difference"], unit=False),
             number(r["percentile_before"], 0), number(r["percentile_after"], 0),
             str(r["leaves_range"]) or "none")
            for r in far.head(8).to_dict("records")
        ],
        stem,
    )  # fmt: skip


def _region_view(table: pd.DataFrame, file: str) -> View:
    last = int(table["year"].max())
    sums = table.groupby("region", sort=False)[["status_quo", "scenario", "difference"]].sum()
    rows = []
    for r in table[table["year"] == last].to_dict("records"):
        total = sums.loc[r["region"]]
        rows.append(
            (str(r["region"]), number(total["status_quo"], 1), number(total["scenario"], 1),
             number(total["difference"], 2, sign=True),
             *(f"{number(r[w], 1)} ({number(r[f'{w}_lower'], 0)}–{number(r[f'{w}_upper'], 0)})"
               for w in ("status_quo", "scenario")))
        )  # fmt: skip
    first = int(table["year"].min())
    return View(
        f"Expected onsets by region: sums over {first}–{last}, and the year {last} with its"
        f" interval ({_level(table)})",
        ("Region", "#Status quo, sum", "#Scenario, sum", "#Difference", f"#Status quo, {last}",
         f"#Scenario, {last}"),
        rows,
        file,
    )  # fmt: skip
