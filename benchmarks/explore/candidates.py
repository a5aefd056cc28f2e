# ruff: noqa: E501
"""Candidate columns that are not registered features yet, computed from the world's tensors.

Every value is as known at the end of the year before the row's.
"""

from __future__ import annotations

import numpy as np
from rows import Rows, decayed, entries

HALF_LIVES = (1, 3, 8, 20)


def severity(rows: Rows) -> dict[str, np.ndarray]:
    """(year, state, other) onsets by what was known of them: fatal, use of force, war, initiator."""
    conflicts = rows.tables["conflicts"]
    codes, years = rows.world["codes"], rows.world["years"]
    shape = rows.world["onset"].shape
    out = {k: np.zeros(shape, dtype=bool) for k in ("fatal", "force", "war")}
    start = conflicts["start"].to_numpy().astype("datetime64[Y]").astype(int) + 1970
    a = np.searchsorted(codes, conflicts["ccode_a"].to_numpy()).clip(max=codes.size - 1)
    b = np.searchsorted(codes, conflicts["ccode_b"].to_numpy()).clip(max=codes.size - 1)
    level = conflicts["level"].to_numpy().astype(str)
    deaths = conflicts["deaths_class"].to_numpy(dtype=float, na_value=np.nan)
    inside = (start >= years[0]) & (start <= years[-1])
    masks = {
        "fatal": deaths >= 1,
        "force": np.isin(level, ("use_of_force", "war")),
        "war": level == "war",
    }
    for name, mask in masks.items():
        use = mask & inside
        out[name][start[use] - years[0], a[use], b[use]] = True
        out[name][start[use] - years[0], b[use], a[use]] = True
    return out


def build(rows: Rows) -> None:
    """Add the candidate columns to the rows."""
    w = rows.world
    entered = entries(w)
    onset = w["onset"].astype(np.float32)
    member = w["member"]
    by_state = onset.sum(2)
    pairs = np.maximum((member.sum(1) * (member.sum(1) - 1)) / 2, 1)
    for h in (*HALF_LIVES, 50):
        rows[f"dyad_decay_{h}"] = rows.pair(decayed(onset, h, entered))
    state = {}
    for h in (1, 2, 5, 10, 20):
        state[h] = decayed(by_state, h, entered)
        x, z = rows.sides(state[h])
        # disputes of each side with others: the dyad's own are in the dyad's history
        if h in HALF_LIVES or h in (2, 5, 10):
            own = decayed(onset, h, entered)
            mine = rows.pair(own)
            xo, zo = np.maximum(x - mine, 0), np.maximum(z - mine, 0)
            rows[f"side_other_max_{h}"] = np.maximum(xo, zo)
            rows[f"side_other_min_{h}"] = np.minimum(xo, zo)
        rows[f"side_max_{h}"], rows[f"side_min_{h}"] = np.maximum(x, z), np.minimum(x, z)
        rows[f"side_sum_{h}"] = x + z
        rows[f"side_product_{h}"] = np.sqrt(x * z)
    total = by_state.sum(1) / 2
    for h in (1, 2, 5, 10, 20):
        rows[f"system_rate_{h}"] = (
            decayed(total[:, None], h)[:, 0] / decayed(pairs[:, None], h)[:, 0]
        )[rows.t - 1]
    # onset rate of relevant dyads: rows as the denominator
    y, at = rows.y, rows.t
    n = np.bincount(at, minlength=onset.shape[0])
    k = np.bincount(at, y, minlength=onset.shape[0])
    for h in (1, 2, 3, 5, 10):
        rows[f"relevant_rate_{h}"] = (
            decayed(k[:, None], h)[:, 0] / np.maximum(decayed(n[:, None].astype(float), h)[:, 0], 1)
        )[rows.t - 1]
    for name, tensor in severity(rows).items():
        tensor = tensor.astype(np.float32)
        for h in (3, 8, 20):
            rows[f"{name}_decay_{h}"] = rows.pair(decayed(tensor, h, entered))
        x, z = rows.sides(decayed(tensor.sum(2), 5, entered))
        rows[f"{name}_side_max_5"], rows[f"{name}_side_min_5"] = np.maximum(x, z), np.minimum(x, z)
    started = w["initiated"].astype(np.float32)
    for h in (3, 10):
        i, j = rows.directed(decayed(started, h, entered))
        rows[f"initiated_both_{h}"] = np.minimum(i, j)
        x, z = rows.sides(decayed(started.sum(2), h, entered))
        rows[f"initiator_max_{h}"], rows[f"initiator_min_{h}"] = np.maximum(x, z), np.minimum(x, z)
    # age of the younger state and of the dyad
    entry = w["entry_year"].astype(float)
    x = rows.year - entry[rows.t, rows.a]
    z = rows.year - entry[rows.t, rows.b]
    rows["age_min"], rows["age_max"] = np.minimum(x, z), np.maximum(x, z)
    # contiguity of the row's own year: it defines the population, and is known at entry
    now = w["contiguity"][rows.t, rows.a, rows.b]
    rows["class_now"] = now.astype(float)
    rows["major_now"] = w["major"][rows.t, rows.a].astype(float) + w["major"][
        rows.t, rows.b
    ].astype(float)
    neighbourhood(rows, onset, entered)
    network(rows, onset, entered)


def neighbourhood(rows: Rows, onset: np.ndarray, entered: np.ndarray) -> None:
    """Disputes among and of neighbours, and of the two with third states near the other."""
    w = rows.world
    near = ((w["contiguity"] > 0) & (w["contiguity"] <= 5)).astype(np.float32)
    by_state = decayed(onset.sum(2), 3, entered)
    years = onset.shape[0]
    hot = np.zeros((years, near.shape[1]), dtype=np.float32)
    pair_third = np.zeros_like(onset)
    against_allies = np.zeros_like(onset)
    recent = decayed(onset, 3, entered)
    pledge = defence(rows)
    for t in range(years):
        degree = np.maximum(near[t].sum(1), 1)
        hot[t] = near[t] @ by_state[t] / degree
        # i's recent disputes with j's neighbours, and the reverse
        through = recent[t] @ near[t] - recent[t]  # i's disputes with neighbours of j
        pair_third[t] = through + through.T
        foes = recent[t] @ pledge[t]  # i's disputes with states that j is bound to
        against_allies[t] = foes + foes.T
    x, z = rows.sides(hot)
    rows["hot_max"], rows["hot_min"] = np.maximum(x, z), np.minimum(x, z)
    rows["third_near"] = rows.pair(pair_third)
    rows["third_allies"] = rows.pair(against_allies)


def defence(rows: Rows) -> np.ndarray:
    """(year, state, other): a defence pledge either way."""
    w = rows.world
    k = list(w["obligations"]).index("defense")
    years = w["years"].size
    out = np.zeros(w["onset"].shape, dtype=np.float32)
    for t in range(years):
        pledge = w["treaty_pledge"][t, :, :, k].astype(np.float32)
        member = w["treaty_member"][t].astype(np.float32)
        tie = (pledge.T @ member) > 0
        out[t] = tie | tie.T
    for t in range(years):
        np.fill_diagonal(out[t], 0)
    return out


def network(rows: Rows, onset: np.ndarray, entered: np.ndarray) -> None:
    """Opponents in common, and the low-rank score of the decayed dispute matrix."""
    recent = decayed(onset, 8, entered)
    years = onset.shape[0]
    common = np.zeros_like(onset)
    score = {k: np.zeros_like(onset) for k in (3, 8)}
    for t in range(years):
        A = np.log1p(recent[t])
        common[t] = A @ A
        values, vectors = np.linalg.eigh(A.astype(float))
        order = np.argsort(-np.abs(values))
        for k in score:
            take = order[:k]
            low = (vectors[:, take] * values[take]) @ vectors[:, take].T
            score[k][t] = low
    rows["common_foes"] = rows.pair(common)
    for k, tensor in score.items():
        rows[f"lowrank_{k}"] = rows.pair(tensor)


def kinds(rows: Rows, entered: np.ndarray) -> None:
    """Histories that count some disputes only: of originators, small, bilateral, not of world wars."""
    w, conflicts = rows.world, rows.tables["conflicts"]
    codes, years = w["codes"], w["years"]
    start = conflicts["start"].to_numpy().astype("datetime64[Y]").astype(int) + 1970
    size = conflicts.groupby("conflict_id")["ccode_a"].transform("size").to_numpy().astype(float)
    sides = [conflicts[f"role_{s}"].astype(str).to_numpy() == "originator" for s in "ab"]
    a, b = (np.searchsorted(codes, conflicts[f"ccode_{s}"]) for s in "ab")
    inside = (start >= 1816) & (start <= years[-1])
    world_war = ((start >= 1914) & (start <= 1918)) | ((start >= 1939) & (start <= 1945))
    weights = {
        "orig": (sides[0] & sides[1]) * 1.0,
        "sized": 1 / np.sqrt(size),
        "small": (size <= 4) * 1.0,
        "bil": (size == 1) * 1.0,
        "noww": 1.0 - world_war,
    }
    for kind, weight in weights.items():
        events = np.zeros(w["onset"].shape, dtype=np.float32)
        for x, z in ((a, b), (b, a)):
            at = (start[inside] - years[0], x[inside], z[inside])
            np.maximum.at(events, at, weight[inside].astype(np.float32))
        events *= w["onset"]
        for h in (*HALF_LIVES, 1_000_000):
            rows[f"{kind}_decay_{h}"] = rows.pair(decayed(events, h, entered))
        for h in (2, 10):
            x, z = rows.sides(decayed(events.sum(2), h, entered))
            own = rows.pair(decayed(events, h, entered))
            x, z = np.maximum(x - own, 0), np.maximum(z - own, 0)
            rows[f"{kind}_other_max_{h}"] = np.maximum(x, z)
            rows[f"{kind}_other_min_{h}"] = np.minimum(x, z)


if __name__ == "__main__":
    import pickle

    from rows import FOLDER, load

    found = load()
    build(found)
    kinds(found, entries(found.world))
    with (FOLDER / "columns.pkl").open("wb") as file:
        pickle.dump(found.columns, file, protocol=5)
    with (FOLDER / "codes.pkl").open("wb") as file:
        pickle.dump({k: found.world[k] for k in ("codes", "years")}, file, protocol=5)
