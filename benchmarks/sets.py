"""Onsets that begin together, out of sample: sets of pairs with and without them.

    uv run python benchmarks/sets.py [FIRST LAST [REFIT]]

`dyad_onset` is refitted every REFIT years to the years before and forecasts the next year, all
pairs. The same draws are read twice: with joint onsets (`forecast.simulation.joint`), whose weight
is estimated from the conflicts before each year, and as if pairs were independent given a draw. Of
each set and year the probability of at least one onset and the distribution of their number are
held against what happened. Sets: inside NATO, of NATO with others, Russia and NATO, inside the GCC,
of the GCC with others, the world, each state against all. Intervals of differences are of a
bootstrap of years. Last it prints the time of a question to a stored outlook.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.origins import target_panel, training_panel
from forecast.evaluation.scores import log_loss_rows
from forecast.inference.fit import fit
from forecast.inference.predict import predict
from forecast.modeling.spec import load_model
from forecast.panel.build import load_panel
from forecast.risk import risk
from forecast.simulation.joint import Joint, none_begins, sizes_on_record
from forecast.sources.codes import member_codes
from forecast.sources.datasets import members, read_tables
from forecast.sources.tables import Tables

SEED, DRAWS, WORLDS = 20261130, 400, 4000
Array = npt.NDArray[Any]


def forecasts(
    tables: Tables, first: int, last: int, refit: int
) -> Iterator[tuple[int, Array, Array, Array]]:
    """Year, draws of the probabilities (R, D), COW numbers (R, 2) and outcomes of its rows."""
    spec = load_model("dyad_onset")
    panel = load_panel(data=tables)
    warm = fitted = None
    for year in range(first, last + 1):
        if fitted is None or (year - first) % refit == 0:
            fitted = fit(spec, training_panel(panel, year), seed=1, draws=DRAWS, warm_start=warm)
            warm = warm or fitted
        rows = target_panel(panel, year)
        probability = predict(fitted, rows)
        data = rows.data.isel(row=probability.attrs["kept"])
        codes = np.stack([data["ccode_a"].to_numpy(), data["ccode_b"].to_numpy()], axis=1)
        p = np.ascontiguousarray(probability.transpose("row", "draw").to_numpy(), np.float32)
        yield year, p, codes, data["outcome"].to_numpy()


def sets_of(tables: Tables, codes: Array, year: int) -> dict[str, Array]:
    """Rows of each set, by the members at the end of the year before."""
    found = {"world": np.arange(len(codes))}
    for name, alliance in (("NATO", "nato"), ("GCC", "gcc-charter")):
        number = np.isin(codes, list(member_codes(tables, alliance, year - 1))).sum(axis=1)
        found[f"{name} inside"] = np.flatnonzero(number == 2)
        found[f"{name} and others"] = np.flatnonzero(number == 1)
        if name == "NATO":
            found["Russia and NATO"] = np.flatnonzero((number == 1) & (codes == 365).any(axis=1))
    for state in np.unique(codes):
        found[f"state {state}"] = np.flatnonzero((codes == state).any(axis=1))
    return found


def counts(p: Array, joint: Joint | None, rng: np.random.Generator) -> Array:
    """Whether an onset begins, in `WORLDS` worlds: (rows, worlds)."""
    draw = np.arange(WORLDS) % p.shape[1]
    number = rng.random((len(p), WORLDS), dtype=np.float32)
    if joint is not None:
        w, shared = joint.weight[draw], rng.random((joint.states, WORLDS), dtype=np.float32)
        apart = (number - w) / (1 - w)
        number = np.where(number < w, shared[joint.hub], apart)
    return np.asarray(number < p[:, draw])


def judge(tables: Tables, first: int, last: int, refit: int) -> pd.DataFrame:
    """One row for each set, year and way."""
    found, rng = [], np.random.default_rng(SEED)
    for year, p, codes, outcome in forecasts(tables, first, last, refit):
        states, place = np.unique(codes, return_inverse=True)
        a, b = place.reshape(codes.shape).T
        sizes = sizes_on_record(tables, year - 1)
        joint = Joint.of(p, (a, b), states=states.size, sizes=sizes, seed=SEED)
        of = sets_of(tables, codes, year)
        for way, chosen in (("joint", joint), ("independent", None)):
            w = joint.weight if chosen else np.zeros(p.shape[1], np.float32)
            begun = counts(p, chosen, np.random.default_rng([SEED, year]))
            for name, rows in of.items():
                number, seen = begun[rows].sum(axis=0), int(outcome[rows].sum())
                below, equal = (number < seen).mean(), (number == seen).mean()
                log = np.log((np.sum(number == seen) + 0.5) / (WORLDS + 0.5 * (len(rows) + 1)))
                at = np.arange(max(number.max(), seen) + 1)[:, None]
                rps = (((number <= at).mean(axis=1) - (seen <= at[:, 0])) ** 2).sum()
                found.append({
                    "set": name, "year": year, "way": way, "seen": seen,
                    "expected": float(p[rows].mean(axis=1).sum()),
                    "any": 1.0 - none_begins(p[rows], joint.hub[rows], w).mean(),
                    "below": below, "equal": equal, "pit": below + rng.random() * equal,
                    "log": -log, "rps": rps, "weight": float(w.mean()),
                })  # fmt: skip
    return pd.DataFrame(found)


def paired(rows: pd.DataFrame, column: str) -> str:
    """Gain of joint over independent in a score, with the interval of a bootstrap of years."""
    wide = rows.pivot_table(column, ["set", "year"], "way")
    year = wide.index.get_level_values("year").to_numpy()
    gain = paired_difference(
        wide["independent"].to_numpy(), wide["joint"].to_numpy(), blocks={"year": year}, seed=SEED
    )
    return f"{gain.mean:.5f} ({gain.lower:.5f}, {gain.upper:.5f})"


def main(first: int = 2005, last: int = 2025, refit: int = 3) -> None:
    """Print the tables."""
    tables = read_tables("embedded")
    rows = judge(tables, first, last, refit)
    rows["log_any"] = log_loss_rows((rows["seen"] > 0).to_numpy(float), rows["any"].to_numpy())
    rows["group"] = rows["set"].where(~rows["set"].str.startswith("state"), "each state")
    weight = rows.loc[rows["way"] == "joint", "weight"]
    print(f"{first}-{last}: w from {weight.min():.2f} to {weight.max():.2f}")
    for name, group in rows.groupby("group", sort=False):
        print(f"\n{name}: {group['year'].nunique()} years, onsets {group['seen'].sum() // 2},"
              f" expected {group['expected'].sum() / 2:.1f}")  # fmt: skip
        for way, part in group.groupby("way"):
            outer = (part["pit"] < 0.05).mean(), (part["pit"] > 0.95).mean()
            print(f"  {way:12s} at least one: {(part['seen'] > 0).sum()} of {len(part)}, expected"
                  f" {part['any'].sum():.1f}; PIT below .05 {outer[0]:.3f}, above .95"
                  f" {outer[1]:.3f}, s.d. {part['pit'].std():.3f} (uniform .289)")  # fmt: skip
        for score in ("log_any", "log", "rps"):
            print(f"  gain in {score}: {paired(group, score)}")
    states = rows[rows["group"] == "each state"]
    edges = [0, 0.02, 0.05, 0.1, 0.2, 0.4, 1]
    for way, part in states.groupby("way"):
        bins = part.groupby(pd.cut(part["any"], edges), observed=True)
        table = bins.agg(rows=("any", "size"), expected=("any", "sum"),
                         seen=("seen", lambda seen: (seen > 0).sum()))  # fmt: skip
        print(f"\neach state, at least one, {way}\n{table.round(1).to_string()}")
    speed(tables)


def speed(tables: Tables) -> None:
    """Print the time of questions to a stored outlook."""
    fitted = fit(load_model("dyad_onset"), load_panel(data=tables), seed=1, draws=1000)
    nato = members("NATO", data=tables)
    sides = {"Russia and NATO": ("RUS", nato), "inside NATO": (nato, nato), "Taiwan": ("TAW", None)}
    risk(fitted, "RUS", nato, how="any", horizon=2)
    print(f"\n{os.cpu_count()} cores, 1,000 draws, milliseconds (wall; of all threads)")
    for name, (a, b) in sides.items():
        wall, processor, repeats = time.perf_counter(), time.process_time(), 20
        for _ in range(repeats):
            pairs = risk(fitted, a, b, how="any", horizon=2).pairs
        spent = [time.perf_counter() - wall, time.process_time() - processor]
        print(f"{name}, {pairs} pairs: " + "; ".join(f"{1e3 * s / repeats:.0f}" for s in spent))


if __name__ == "__main__":
    main(*(int(v) for v in sys.argv[1:]))
