"""Time, memory and rows of panels and their features, as ratios to targets and to plain pandas.

    uv run python benchmarks/panel.py [--json] [--quick]

The historical panels need the official files in the cache (`forecast data get`, or FORECAST_DATA);
`--quick` takes the embedded data and stops the scaling at a million rows. Each measurement runs in
a process of its own, so that its peak memory is its own, after all that it imports was imported
(every feature is computed once on one year of the embedded data). Nothing else should run on the
machine; processor seconds are printed beside wall seconds to show whether something did.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

#: Directed rows of the scaling table.
SCALES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
#: States of the made-up systems that are scaled in years.
STATES = 200
#: What the author of peacesciencer (an R package) published for about 2,000,000 directed rows.
PUBLISHED = {"peace years": 12.5, "contiguity": 2.1, "filtering": 2.9}

Result = dict[str, Any]


class Clock:
    """Wall and processor seconds of the block."""

    wall = cpu = 0.0


@contextmanager
def clock() -> Iterator[Clock]:
    found = Clock()
    wall, cpu = time.perf_counter(), time.process_time()
    yield found
    found.wall, found.cpu = time.perf_counter() - wall, time.process_time() - cpu


def every_feature(names: set[str] | None = None) -> list[Any]:
    """One column per feature, or per side of the dyad where a feature has a value for each."""
    from forecast.features import FeatureRequest
    from forecast.features.registry import registered_features

    return [
        FeatureRequest(f"{f.name}_{side}", f.name, {}, side)
        for f in registered_features()
        if names is None or f.name in names
        for side in (("a", "b") if f.level in ("state", "directed") else ("none",))
    ]


HISTORY = {"peace_years", "disputes_total", "disputes_recent", "dispute_last_year"}


def historical(last: int) -> Any:
    """Tables from the cache; conflicts are taken to be covered to `last` (for the time only)."""
    from forecast.sources.historical import load_historical

    tables = load_historical()
    conflicts = tables.coverage["conflicts"]
    if conflicts.last >= last:
        return tables
    return replace(tables, coverage={**tables.coverage, "conflicts": replace(conflicts, last=last)})


def options_of(which: str, quick: bool) -> Result:
    """Arguments of `load_panel` for one of the panels."""
    population = "all" if which == "all" else "politically_relevant"
    if quick:
        return {"data": "embedded", "population": population}
    last = 2014 if which == "all" else 2000
    return {"data": historical(last), "population": population, "years": (1816, last)}


def whole_panel(which: str, quick: bool) -> Result:
    """From files in the cache to rows with every feature."""
    from forecast.features import compute_features
    from forecast.panel.build import load_panel

    requests = every_feature()
    with clock() as total:
        with clock() as reading:
            options = options_of(which, quick)
        with clock() as rows:
            panel = load_panel(**options)
        with clock() as features:
            panel = compute_features(panel, requests)
    return {
        "rows": panel.data.sizes["row"],
        "columns": len(requests),
        "features": len({r.feature for r in requests}),
        "onsets": int(panel.data["outcome"].sum()),
        "seconds": total.wall,
        "cpu": total.cpu,
        "of which tables": reading.wall,
        "of which world and rows": rows.wall,
        "of which features": features.wall,
    }


def history(unit: str, quick: bool) -> Result:
    """Peace years and history for every row of a panel that is there."""
    from forecast.features import compute_features
    from forecast.panel.build import load_panel

    panel = load_panel(**options_of("all", quick) | {"unit": unit})
    requests = every_feature(HISTORY)
    with clock() as found:
        compute_features(panel, requests)
    return {
        "rows": panel.data.sizes["row"],
        "columns": len(requests),
        "seconds": found.wall,
        "cpu": found.cpu,
    }


def opened(which: str, quick: bool, folder: str) -> Result:
    """A panel with every feature, from the cache of panels; made first where it is not there."""
    from forecast.panel_cache import cached_panel

    options = options_of(which, quick)
    requests = every_feature()
    with clock() as found:
        panel = cached_panel(requests, folder=Path(folder), **options)
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {
        "rows": panel.data.sizes["row"],
        "columns": len(requests),
        "seconds": found.wall,
        "cpu": found.cpu,
        "entries": len(list(Path(folder).iterdir())),
        "megabytes on disk": size / 1e6,
    }


def steps(quick: bool) -> Result:
    """Peace years, contiguity and filtering of directed rows: ours, and as one would in pandas."""
    import numpy as np
    import pandas as pd

    from forecast.features import compute_features
    from forecast.panel.build import load_panel
    from forecast.panel.rows import relevant_pairs

    options = options_of("all", quick) | {"unit": "directed-dyad-year"}
    panel = load_panel(**options)
    world = panel.world
    assert world is not None
    ours: dict[str, Clock] = {}
    with clock() as ours["peace years"]:
        peace = compute_features(panel, every_feature({"peace_years"})).data["peace_years_none"]
    with clock() as ours["contiguity"]:
        border = compute_features(panel, every_feature({"contiguity_closeness"}))
    del border
    data = panel.data
    first, codes = int(world["year"][0]), world["state"].to_numpy()
    with clock() as ours["filtering"]:
        where = (
            data["year"].to_numpy() - first,
            np.searchsorted(codes, data["ccode_a"].to_numpy()),
            np.searchsorted(codes, data["ccode_b"].to_numpy()),
        )
        kept = data.isel(row=relevant_pairs(world)[where])

    # The rows a practitioner starts from: every ordered pair and year of the state system.
    t, a, b = np.nonzero(world["together"].to_numpy())
    rows = pd.DataFrame({"year": t + first, "ccode1": codes[a], "ccode2": codes[b]})
    t, a, b = np.nonzero(world["dispute"].to_numpy())
    disputes = pd.DataFrame({"year": t + first, "ccode1": codes[a], "ccode2": codes[b]})
    t, a, b = np.nonzero(world["contiguity"].to_numpy())
    borders = pd.DataFrame({"year": t + first, "ccode1": codes[a], "ccode2": codes[b]})
    borders["conttype"] = world["contiguity"].to_numpy()[t, a, b]
    t, a = np.nonzero(world["major"].to_numpy())
    majors = pd.DataFrame({"year": t + first, "ccode": codes[a]})
    key, pair = ["year", "ccode1", "ccode2"], ["ccode1", "ccode2"]

    plain: dict[str, Clock] = {}
    with clock() as plain["peace years"]:
        frame = rows.merge(disputes.assign(dispute=1), on=key, how="left")
        frame["dispute"] = frame["dispute"].fillna(0)
        frame = frame.sort_values([*pair, "year"])
        gap = frame.groupby(pair)["year"].diff().ne(1)
        frame["spell"] = (gap | frame["dispute"].eq(1)).cumsum()
        frame["peace"] = frame.groupby("spell").cumcount()
        frame["since"] = frame.groupby(gap.cumsum())["peace"].shift(fill_value=0)
    with clock() as plain["contiguity"]:
        merged = rows.merge(borders, on=key, how="left")
        merged["closeness"] = 6 - merged["conttype"].fillna(6)
    with clock() as plain["filtering"]:
        for side in pair:
            flag = majors.assign(major=1).rename(columns={"ccode": side, "major": f"m_{side}"})
            merged = merged.merge(flag, on=["year", side], how="left")
        relevant = merged["conttype"].notna() | merged["m_ccode1"].eq(1) | merged["m_ccode2"].eq(1)
        chosen = merged[relevant]

    check = pd.DataFrame(
        {
            "year": data["year"].to_numpy(),
            "ccode1": data["ccode_a"].to_numpy(),
            "ccode2": data["ccode_b"].to_numpy(),
            "ours": peace.to_numpy(),
        }
    ).merge(frame[[*key, "since"]], on=key)
    check = check.dropna()  # the first year has no year before it that is covered
    return {
        "rows": data.sizes["row"],
        "relevant rows": kept.sizes["row"],
        "relevant rows, pandas (ongoing disputes included)": len(chosen),
        "rows in both with the same peace years": float((check["ours"] == check["since"]).mean()),
        **{
            name: {"seconds": ours[name].wall, "pandas seconds": plain[name].wall}
            for name in PUBLISHED
        },
    }


def made_up(rows: int) -> Any:
    """Tables of a system of 200 states, long enough for so many directed rows."""
    import numpy as np
    import pandas as pd

    from forecast.sources.tables import OBLIGATIONS, Coverage, Tables

    rng = np.random.default_rng(1)
    years = max(round(rows / (STATES * (STATES - 1))), 2)
    first, last = 1800, 1800 + years - 1
    codes = np.arange(2, 2 + STATES)

    def day(year: Any) -> Any:
        return (np.asarray(year) - 1970).astype("datetime64[Y]").astype("datetime64[s]")

    never = np.datetime64("NaT", "s")
    states = pd.DataFrame({"ccode": codes, "abbrev": "AAA", "name": codes.astype(str)})
    states = states.assign(region=np.where(codes % 2, "Europe", "Asia"), start=day(first - 1))
    states = states.assign(end=never, iso3=None)
    some = rng.choice(STATES * STATES, 600, replace=False)
    a, b = codes[some // STATES], codes[some % STATES]
    pairs = pd.DataFrame({"ccode_a": a, "ccode_b": b})[a < b].reset_index(drop=True)
    spells = {"start": day(first - 1), "end": never}
    capability = rng.dirichlet(np.ones(STATES), years)
    treaty = np.repeat([f"pact-{n}" for n in range(150)], 6)
    begun = np.repeat(rng.integers(first, last + 1, 150), 6)
    members = pd.DataFrame({"alliance_id": treaty, "ccode": rng.choice(codes, 900)})
    members = members.assign(start=day(begun), end=day(begun + 20))
    members = members.assign(**{name: rng.integers(0, 2, 900) for name in OBLIGATIONS})
    members = members.drop_duplicates(["alliance_id", "ccode"], ignore_index=True)
    alliances = members.groupby("alliance_id")[["start", "end"]].first().reset_index()
    alliances = alliances.assign(short_name=alliances["alliance_id"], kind="multilateral")
    for name in (
        *("wartime", "integrated_command", "military_coordination", "basing", "military_aid"),
        *("organization", "peaceful_settlement", "cond_adversary", "cond_location"),
        *("cond_conflict", "cond_number", "cond_demands", "cond_nonprovocation"),
    ):
        alliances[name] = rng.integers(0, 2, len(alliances))
    number = 20 * years
    conflicts = pd.DataFrame({"start": day(np.sort(rng.integers(first, last + 1, number)))})
    sides = np.sort(np.stack([rng.choice(codes, 2, replace=False) for _ in range(number)]), axis=1)
    conflicts = conflicts.assign(end=conflicts["start"], ccode_a=sides[:, 0], ccode_b=sides[:, 1])
    conflicts = conflicts.assign(
        conflict_id=[f"c-{n}" for n in range(number)], initiator="a", level="war"
    )
    conflicts = conflicts.assign(deaths_class=pd.array([1] * number, dtype="Int64"))
    conflicts = conflicts.assign(role_a="originator", role_b="originator")
    covers = Coverage(first, last, "made up", "", "")
    names = ("states", "powers", "contiguity", "capabilities", "alliances", "members", "conflicts")
    return Tables(
        states=states,
        powers=pd.DataFrame({"ccode": codes[:5], **spells}),
        contiguity=pairs.assign(type=rng.integers(1, 6, len(pairs)), **spells),
        capabilities=pd.DataFrame(
            {
                "ccode": np.tile(codes, years),
                "year": np.repeat(np.arange(first, last + 1), STATES),
                "capability": capability.ravel(),
                "capability_floored": False,
            }
        ),
        alliances=alliances,
        members=members,
        conflicts=conflicts,
        coverage=dict.fromkeys(names, covers),
        name="made up",
        fingerprint=f"made up, {rows} rows",
    )


#: Features of the scaling table besides history: some of every cost, dense products included.
SCALED = {
    *("own_expansion", "frontier_expansion", "external_share", "commitment_balance"),
    *("pact_in_dyad", "outside_defense", "shared_allies", "bloc_parity"),
    *("land_contiguity", "capability_ratio"),
}


def scaling(rows: int) -> Result:
    """Rows, history and ten features of a system with so many directed rows."""
    from forecast.features import compute_features
    from forecast.panel.build import load_panel

    tables = made_up(rows)
    with clock() as load:
        panel = load_panel(
            data=tables,
            unit="directed-dyad-year",
            population="all",
            years=(tables.coverage["states"].first, tables.coverage["states"].last),
        )
    with clock() as past:
        compute_features(panel, every_feature(HISTORY))
    with clock() as features:
        compute_features(panel, every_feature(SCALED))
    return {
        "rows": panel.data.sizes["row"],
        "rows seconds": load.wall,
        "history seconds": past.wall,
        "features seconds": features.wall,
        "cpu": load.cpu + past.cpu + features.cpu,
    }


def warm_up() -> None:
    """Import all that a measurement needs, also what is imported where it is used."""
    import forecast.panel_cache
    import forecast.sources.historical  # noqa: F401
    from forecast.features import compute_features
    from forecast.panel.build import load_panel

    compute_features(load_panel(years=(2010, 2010)), every_feature())


MEASURES: dict[str, Callable[..., Result]] = {
    "whole_panel": whole_panel,
    "history": history,
    "opened": opened,
    "steps": steps,
    "scaling": scaling,
}


def measured(name: str, *arguments: Any) -> Result:
    """A measurement in a process of its own, with its peak memory."""
    command = [sys.executable, __file__, "--measure", json.dumps([name, *arguments])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def exponent(results: list[Result], what: str) -> float:
    """Slope of log seconds on log rows."""
    points = [(math.log(r["rows"]), math.log(r[what])) for r in results]
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((u - x) * (v - y) for u, v in points) / sum((u - x) ** 2 for u, _ in points)


def run(quick: bool) -> Result:
    scales = [rows for rows in SCALES if not quick or rows <= 1_000_000]
    with tempfile.TemporaryDirectory() as folder:
        found: Result = {
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "load average at the start": round(os.getloadavg()[0], 2),
            "data": "embedded" if quick else "historical",
            "relevant": measured("whole_panel", "relevant", quick),
            "all": measured("whole_panel", "all", quick),
            "history": measured("history", "dyad-year", quick),
            "history, directed": measured("history", "directed-dyad-year", quick),
            "steps": measured("steps", quick),
        }
        for which in ("relevant", "all"):
            place = str(Path(folder) / which)
            measured("opened", which, quick, place)
            found[f"opened, {which}"] = measured("opened", which, quick, place)
            if found[f"opened, {which}"]["entries"] != 1:
                raise SystemExit("The code of the package changed meanwhile: run this again.")
    found["scaling"] = [measured("scaling", rows) for rows in scales]
    found["exponents"] = {
        what: exponent(found["scaling"], f"{what} seconds")
        for what in ("rows", "history", "features")
    }
    return found


def text(found: Result) -> str:
    """The numbers for people: each with its target and its ratio to it (below 1 is better)."""
    lines = [
        f"{found['cores']} cores ({found['machine']}), load average at the start "
        f"{found['load average at the start']}, {found['data']} data; after the imports",
        "",
        f"{'':48s} {'rows':>9s} {'columns':>7s} {'cpu s':>7s} {'seconds':>8s} {'target':>7s} "
        f"{'ratio':>6s} {'peak GB':>7s} {'target':>7s} {'ratio':>6s}",
    ]
    table = (
        ("relevant", "politically relevant, every feature, from files", 5, 2),
        ("all", "all dyad-years, every feature, from files", 15, 4),
        ("history", "peace years and history, all dyad-years", 0.5, None),
        ("history, directed", "the same, directed", 0.5, None),
        ("opened, relevant", "opening the relevant panel from the cache", 0.3, None),
        ("opened, all", "opening the panel of all from the cache", 0.3, None),
    )
    for key, name, seconds, memory in table:
        r = found[key]
        line = (
            f"{name:48s} {r['rows']:9,d} {r['columns']:7d} {r['cpu']:7.3f} {r['seconds']:8.3f} "
            f"{seconds:7g} {r['seconds'] / seconds:6.2f} {r['peak GB']:7.2f}"
        )
        lines.append(line + (f" {memory:7g} {r['peak GB'] / memory:6.2f}" if memory else ""))
    for key in ("relevant", "all"):
        parts = ", ".join(
            f"{name.removeprefix('of which ')} {value:.2f} s"
            for name, value in found[key].items()
            if name.startswith("of which")
        )
        lines.append(f"  {key}: {found[key]['features']} features; {parts}")
    steps = found["steps"]
    lines += [
        "",
        f"{steps['rows']:,d} directed rows{'':29s} {'seconds':>8s} {'pandas':>8s} {'ratio':>6s}   "
        "published for peacesciencer, 2 M rows, another machine",
    ]
    for name, published in PUBLISHED.items():
        ours, plain = steps[name]["seconds"], steps[name]["pandas seconds"]
        lines.append(f"{name:46s} {ours:8.3f} {plain:8.3f} {ours / plain:6.3f}   {published:g} s")
    lines += [
        f"  rows with the same peace years in both: "
        f"{steps['rows in both with the same peace years']:.6f}; "
        + (
            "Rscript is here, not used" if shutil.which("Rscript") else "no Rscript on this machine"
        ),
        "",
        f"{'directed rows (200 states)':30s} {'rows s':>8s} {'history s':>10s} {'features s':>11s} "
        f"{'peak GB':>8s}",
    ]
    for r in found["scaling"]:
        lines.append(
            f"{r['rows']:30,d} {r['rows seconds']:8.3f} {r['history seconds']:10.3f} "
            f"{r['features seconds']:11.3f} {r['peak GB']:8.2f}"
        )
    e = found["exponents"]
    lines.append(
        f"{'exponent (1 is linear)':30s} {e['rows']:8.2f} {e['history']:10.2f} "
        f"{e['features']:11.2f}"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="embedded data, up to 1 M rows")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        warm_up()
        name, *given = json.loads(arguments.measure)
        found = MEASURES[name](*given)
        found["peak GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(json.dumps(found))
        return
    found = run(arguments.quick)
    print(json.dumps(found, indent=1) if arguments.json else text(found))


if __name__ == "__main__":
    main()
