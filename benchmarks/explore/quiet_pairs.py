"""Stage 10: dyads at peace for more than ten years. Families of columns that no stage had tried.

    python benchmarks/explore/quiet_pairs.py            # the table, 1960-1990
    python benchmarks/explore/quiet_pairs.py confirm    # the one block chosen, on 1991-2000 too

Raw tables come from the folder FORECAST_REFERENCE. Every column is as known at the end of the year
before the row's; years before a source begins are unknown, with one indicator for each block.
"""

import csv
import gzip
import os
import sys
from pathlib import Path

import lab
import numpy as np
from confirm import BLOCK, EFFECTS
from ridge import Design, Effects, backtest
from rows import (
    CONFIRMATION,
    SELECTION,
    Rows,
    average_precision,
    decayed,
    entries,
    log_loss,
    paired,
    scores,
)
from scipy.special import expit, logit
from stage3 import far, land, quiet, rows
from stage5 import modern
from stage6 import with_far
from stage7 import derived, plain, with_rivals

S = "10 dyads at peace for more than ten years"
FOLDER = Path(os.environ.get("FORECAST_REFERENCE", "../shared/reference")) / "processed"
Columns = dict[str, np.ndarray]
#: One column of each family, that with the largest correlation with onsets of quiet rows to 1990.
FEW = (
    "war_max",
    "milex_growth_3_max",
    "fell_3_max",
    "contiguity_changed",
    "common_neighbour_in_dispute",
    "novel_max_10",
    "memory_20",
)


# ----------------------------------------------------------------------------- raw tables


def read(name: str) -> list[dict[str, str]]:
    """The rows of a processed table."""
    with gzip.open(FOLDER / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def yearly(w: dict, name: str, column: str) -> np.ndarray:
    """(year, state) values of a column of a state-year table; unknown is NaN."""
    out = np.full((w["years"].size, w["codes"].size), np.nan)
    place = {c: i for i, c in enumerate(w["codes"])}
    for r in read(name):
        t, i = int(r["year"]) - w["years"][0], place.get(int(r["ccode"]))
        if r[column] and i is not None and 0 <= t < len(out):
            out[t, i] = float(r[column])
    return out


def internal(w: dict) -> tuple[Columns, Columns]:
    """UCDP/PRIO conflicts of types 3 and 4: of states, and of pairs (location, intervener)."""
    first, last = int(w["years"][0]), int(w["years"][-1])
    place = {c: i for i, c in enumerate(w["codes"])}
    cow = {(int(r["year"]), r["gwcode"]): r["ccode"] for r in read("cow_gw_panel") if r["ccode"]}
    n = (w["years"].size, w["codes"].size)
    of = {k: np.zeros(n) for k in ("any", "war", "territory", "foreign")}
    by = {k: np.zeros((*n, n[1]), dtype=np.float32) for k in ("rebels", "government")}
    for r in read("ucdp_acd"):
        year = int(r["year"])
        if r["type_of_conflict"] not in ("intrastate", "II") or not first <= year <= last:
            continue
        at = {k: place.get(int(cow.get((year, r[k]), -1))) for k in r if k.startswith("gwno")}
        t, i = year - first, at["gwno_a"]
        if i is None:
            continue
        of["any"][t, i] = 1
        of["war"][t, i] = max(of["war"][t, i], r["intensity_level"] == "2")
        of["territory"][t, i] = max(of["territory"][t, i], r["incompatibility"] == "territory")
        of["foreign"][t, i] = max(of["foreign"][t, i], r["type_of_conflict"] == "II")
        for side, kind in (("gwno_b_2nd", "rebels"), ("gwno_a_2nd", "government")):
            if at[side] is not None and at[side] != i:
                by[kind][t, i, at[side]] = 1
    before = np.vstack([np.zeros((1, n[1])), of["any"][:-1]])
    start = (of["any"] > 0) & (before == 0)
    of["onset"] = sum(np.vstack([np.zeros((k, n[1])), start[: len(start) - k]]) for k in range(3))
    for x in of.values():
        x[: 1946 - first] = np.nan
    return of, by


def lagged(x: np.ndarray, k: int) -> np.ndarray:
    """The tensor k years before; unknown is NaN."""
    out = np.full(x.shape, np.nan)
    out[k:] = x[:-k]
    return out


# ------------------------------------------------------------------------------- families


def both(whole: Rows, found: dict[str, np.ndarray]) -> Columns:
    """The larger and the smaller of the lagged values of the two sides."""
    out = {}
    for name, tensor in found.items():
        x, z = whole.sides(tensor)
        out[f"{name}_max"], out[f"{name}_min"] = np.maximum(x, z), np.minimum(x, z)
    return out


def arms(whole: Rows) -> Columns:
    """Growth of shares of spending and personnel (log, cut at 1.5), and moves of the balance."""
    w = whole.world
    found = {}
    for column in ("milex", "milper"):
        raw = yearly(w, "cow_nmc", column)
        share = raw / np.nansum(raw, axis=1, keepdims=True)
        level = np.log(np.where(share > 0, share, np.nan))
        for k in (3, 5):
            found[f"{column}_growth_{k}"] = np.clip(level - lagged(level, k), -1.5, 1.5)
    people = yearly(w, "cow_nmc", "tpop")
    soldiers = yearly(w, "cow_nmc", "milper")
    found["mobilised"] = np.log((soldiers + 1) / (people + 1))
    out = both(whole, found)
    power = np.log(np.maximum(yearly(w, "cow_nmc", "cinc"), 1e-6))
    now, old5, old10 = (
        np.subtract(*whole.sides(x)) for x in (power, lagged(power, 5), lagged(power, 10))
    )
    out["balance_moved_5"] = np.abs(now - old5)
    out["weaker_gains_5"] = np.abs(old5) - np.abs(now)
    out["overtaken_10"] = np.where(np.isnan(old10), np.nan, now * old10 < 0)
    return out


def regimes(whole: Rows) -> Columns:
    """Moves of V-Dem's polyarchy, and governments between democracy and autocracy."""
    x = yearly(whole.world, "democracy", "v2x_polyarchy")
    found = {f"moved_{k}": np.abs(x - lagged(x, k)) for k in (1, 3)}
    found["fell_3"] = np.maximum(lagged(x, 3) - x, 0)
    found["rose_3"] = np.maximum(x - lagged(x, 3), 0)
    found["anocracy"] = np.where(np.isnan(x), np.nan, (x > 0.2) & (x < 0.5))
    return both(whole, found)


def system(whole: Rows) -> Columns:
    """States that are new, here or next door, and contiguity that changed in ten years."""
    w = whole.world
    age = w["years"][:, None] - w["entry_year"].astype(float)
    near = (w["contiguity"] > 0) & (w["contiguity"] <= 5)
    young = w["member"] & (age <= 5)
    found = {
        "new_5": young * 1.0,
        "new_15": (w["member"] & (age <= 15)) * 1.0,
        "new_neighbours": np.stack([n @ y for n, y in zip(near, young * 1.0, strict=True)]),
    }
    out = both(whole, found)
    then = (np.maximum(whole.t - 11, 0), whole.a, whole.b)
    changed = w["contiguity"][then] != w["contiguity"][whole.t - 1, whole.a, whole.b]
    out["contiguity_changed"] = (changed & w["together"][then]) * 1.0
    out["new x land"] = out["new_15_max"] * (whole["class_now"] == 1)
    return out


def spill(whole: Rows, civil: np.ndarray) -> tuple[Columns, Columns]:
    """Neighbours at war within (unknown before 1946), and third parties in disputes."""
    w = whole.world
    entered = entries(w)
    next_door = ((w["contiguity"] > 0) & (w["contiguity"] <= 1)).astype(np.float32)
    onset = w["onset"].astype(np.float32)
    hot = decayed(onset.sum(2), 1, entered)
    first = whole["peace_years"] > 10
    fresh = np.zeros_like(onset)
    pairs = (whole.t, whole.a, whole.b)
    fresh[pairs] = first & (whole.y == 1)
    fresh += np.swapaxes(fresh, 1, 2)
    war_near = np.stack([n @ c for n, c in zip(next_door, civil, strict=True)])
    between = np.zeros_like(onset)
    together = same_side(whole)
    for t, n in enumerate(next_door):
        between[t] = (n * hot[t]) @ n
    inside = {"civil_next_door": np.log1p(war_near)}
    out = {
        "common_neighbour_in_dispute": np.log1p(whole.pair(between)),
        "same_side_5": np.log1p(whole.pair(decayed(together, 5, entered))),
        "same_side_20": np.log1p(whole.pair(decayed(together, 20, entered))),
    }
    novel = {}
    for h in (2, 10):
        own = whole.pair(decayed(fresh, h, entered))
        x, z = (np.log1p(np.maximum(v - own, 0)) for v in whole.sides(decayed(fresh.sum(2), h)))
        novel[f"novel_max_{h}"], novel[f"novel_min_{h}"] = np.maximum(x, z), np.minimum(x, z)
    return out | both(whole, inside), novel


def same_side(whole: Rows) -> np.ndarray:
    """(year, state, other): two states that entered the same dispute against a common foe."""
    w, conflicts = whole.world, whole.tables["conflicts"]
    codes, years = w["codes"], w["years"]
    start = conflicts["start"].to_numpy().astype("datetime64[Y]").astype(int) + 1970
    a, b = (np.searchsorted(codes, conflicts[f"ccode_{s}"]) for s in "ab")
    out = np.zeros(w["onset"].shape, dtype=np.float32)
    foes: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for key, t, i, j in zip(conflicts["conflict_id"], start - years[0], a, b, strict=True):
        if 0 <= t < years.size:
            foes.setdefault((key, int(j)), []).append((int(t), int(i)))
            foes.setdefault((key, int(i)), []).append((int(t), int(j)))
    for against in foes.values():
        for t, i in against:
            for s, j in against:
                if i != j:
                    out[max(t, s), i, j] = 1
    return out


def economy(whole: Rows) -> Columns:
    """Shares of world trade that fell, income a head, and its growth."""
    w = whole.world
    trade = yearly(w, "cow_trade_sy", "imports") + yearly(w, "cow_trade_sy", "exports")
    share = np.log(np.where(trade > 0, trade, np.nan) / np.nansum(trade, axis=1, keepdims=True))
    income = np.log(yearly(w, "gdp_pop", "mrgdppc"))
    found = {
        "trade_growth_5": np.clip(share - lagged(share, 5), -1.5, 1.5),
        "income": income,
        "income_growth_3": np.clip(income - lagged(income, 3), -0.5, 0.5),
    }
    return both(whole, found)


def past(whole: Rows) -> Columns:
    """Past opponents, ever a dispute by years since, memory of fifty years, and old portfolios."""
    w = whole.world
    onset, entered = w["onset"].astype(np.float32), entries(w)
    ever = np.maximum.accumulate(onset, axis=0)
    opponents = both(whole, {"opponents": np.log1p(ever.sum(2))})
    peace, had = whole["peace_years"], np.nan_to_num(whole["disputes_total"]) > 0
    out = {f"ever, {k}": (had & (peace > k)) * 1.0 for k in (10, 20, 40)}
    out["memory"] = np.log1p(whole.pair(decayed(onset, 50, entered))) * (peace > 10)
    out["memory_20"] = np.log1p(whole.pair(decayed(onset, 20, entered))) * (peace > 10)
    key = (whole.year * 1000 + whole.a) * 1000 + whole.b
    order = np.argsort(key)
    at = np.minimum(np.searchsorted(key[order], key - 5_000_000), key.size - 1)
    found = key[order][at] == key - 5_000_000
    likeness = whole["portfolio_similarity_S"]
    window = np.cumsum(onset, axis=0)
    window[40:] -= window[:-40].copy()
    out["three in 40 years"] = whole.pair(window >= 3) * (peace > 10)
    out["portfolios_moved_5"] = np.where(found, likeness - likeness[order][at], np.nan)
    return out | opponents


def families(whole: Rows) -> dict[str, Columns]:
    """All blocks by name."""
    of, by = internal(whole.world)
    before = whole.year <= 1946
    entered = entries(whole.world)
    wars = {k: x for k, x in of.items() if k in ("any", "war", "onset")}
    meddled = {}
    for kind, tensor in by.items():
        x, z = whole.directed(decayed(tensor, 5, entered))
        meddled[kind] = np.where(before, np.nan, np.log1p(x + z))
    third, novel = spill(whole, np.nan_to_num(of["any"]))
    third["civil_next_door_max"][before] = third["civil_next_door_min"][before] = np.nan
    found = {
        "post-1945 alone (control)": {"post": np.where(before, 0.0, 1.0)},
        "internal conflict": both(whole, wars),
        "internal: territory, foreign troops": both(
            whole, {k: of[k] for k in ("territory", "foreign")}
        ),
        "intervention in the other's war": meddled,
        "arms": arms(whole),
        "regime change": regimes(whole),
        "new states and borders": system(whole),
        "spill-over, third parties": third,
        "first disputes of each side with others": novel,
        "trade and income": economy(whole),
        "past opponents, memory, portfolios": past(whole),
    }
    each = {n: x for columns in found.values() for n, x in columns.items()}
    del found["past opponents, memory, portfolios"]["three in 40 years"]
    found["few: memory only"] = {n: each[n] for n in ("memory", "memory_20", "three in 40 years")}
    found["few: one of each family"] = {n: each[n] for n in FEW}
    found["few: internal conflict of either side"] = {"any": np.nan_to_num(each["any_max"])}
    return found


# --------------------------------------------------------------------------------- designs


def shipped() -> Design:
    """The specification in the stand-in: rivals from the record, alliances, × far."""
    extra = derived()
    counts = {n: extra[n] for n in ("rivals_max", "rivals_min")}
    return with_far(with_rivals(plain(), extra["derived_3"], counts), BLOCK)


def unit(x: np.ndarray) -> np.ndarray:
    """Centred; a binary column keeps its unit, and a rare value is not blown up."""
    known = x[~np.isnan(x)]
    binary = np.isin(known, (0.0, 1.0)).all()
    scale = 1.0 if binary else max(2 * known.std(), np.ptp(known) / 4)
    return np.nan_to_num((x - known.mean()) / scale)


def extended(
    d: Design, columns: Columns, by: dict[str, np.ndarray] | None = None, sd: float = 0.5
) -> Design:
    """A copy with a block: its columns, one tight indicator, and products at half the prior s.d."""
    d = d.copy()
    unknown = np.any([np.isnan(x) for x in columns.values()], axis=0)
    if unknown.any():
        d.add("block:unknown", unknown * 1.0, 0.1)
    for name, x in columns.items():
        z = unit(x)
        d.add(name, z, sd, scale=False)
        for label, stratum in (by or {}).items():
            d.add(f"{name} x {label}", z * stratum, sd / 2, scale=False)
    return d


def by_quiet(d: Design, sd: float) -> Design:
    """Every column also × quiet."""
    out = d.copy()
    for name, x in zip(d.names, d.values, strict=True):
        if name != "quiet" and ":missing" not in name and not name.startswith("peace["):
            out.add(f"{name} x quiet", unit(x) * quiet, sd, scale=False)
    return out


def trees(columns: np.ndarray, last: int = 1990, seed: int = 0) -> np.ndarray:
    """Boosted trees fitted to quiet rows only, refitted every five years."""
    from forecast.evaluation.baselines import boosted_trees

    p = np.full(rows.y.size, np.nan)
    for origin in range(1960, last + 1, 5):
        train = (rows.year < origin) & (modern(origin) > 0) & (quiet > 0)
        test = (rows.year >= origin) & (rows.year < min(origin + 5, last + 1))
        fitted = boosted_trees(seed).fit(columns[train], rows.y[train])
        p[test] = fitted.predict_proba(columns[test])[:, 1]
    return p


# ---------------------------------------------------------------------------------- scores


def quiet_gain(p: np.ndarray, q: np.ndarray, first: int, last: int, draws: int = 2000) -> str:
    """Gain of q over p in average precision of quiet rows, 95% by resampling years."""
    use = (rows.year >= first) & (rows.year <= last) & (quiet > 0)
    years, which = np.unique(rows.year[use], return_inverse=True)
    draw = np.random.default_rng(1).integers(0, years.size, (draws, years.size))
    times = np.stack([np.bincount(d, minlength=years.size) for d in draw] + [np.ones(years.size)])
    found = []
    for forecast in (p[use], q[use]):
        order = np.argsort(-forecast, kind="stable")
        y, year = rows.y[use][order], which[order]
        ap = []
        for weight in times:
            v = weight[year]
            hits = np.cumsum(v * y)
            ap.append((hits / np.maximum(np.cumsum(v), 1) * v * y).sum() / hits[-1])
        found.append(np.array(ap))
    gain = found[1] - found[0]
    low, high = np.quantile(gain[:-1], [0.025, 0.975])
    return f"{gain[-1]:+.4f} ({low:+.4f}, {high:+.4f})"


def report(
    name: str, p: np.ndarray, against: np.ndarray | None = None, years: tuple[int, int] = SELECTION
) -> np.ndarray:
    """Print and log the scores and the two paired gains."""
    s = scores(rows, p, *years)
    note = {}
    if against is not None:
        use = (quiet > 0) & (rows.year >= years[0]) & (rows.year <= years[1])
        mean = (log_loss(rows.y, against) - log_loss(rows.y, p))[use].mean()
        note = {
            "gain": paired(rows, against, p, *years),
            "gain_quiet": f"{mean * 1e4:+.2f}e-4",
            "gain_AP_quiet": quiet_gain(against, p, *years),
        }
    extra = f" | {note['gain']} | AP quiet {note['gain_AP_quiet']}" if note else ""
    lab.report(S, name, s, extra, note)
    return p


def fit(d: Design, last: int = 1990, effects: Effects = EFFECTS, weights=modern) -> np.ndarray:
    """Forecasts of the design, refitted every five years."""
    return backtest(rows, d, effects, 1960, last, weights=weights)[0]


def placebo(whole: Rows, seed: int) -> Columns:
    """Four state-year columns of pure noise that moves slowly, as a yardstick."""
    rng = np.random.default_rng(seed)
    shape = whole.world["member"].shape
    return both(
        whole, {f"n{k}": decayed(rng.normal(size=shape), (2, 20)[k], None) for k in range(2)}
    )


def noise(p: np.ndarray, first: int, last: int) -> None:
    """Average precision of quiet rows: with years drawn again, and if the forecasts were exact."""
    use = (rows.year >= first) & (rows.year <= last) & (quiet > 0)
    y, q, year = rows.y[use], p[use], rows.year[use]
    rng = np.random.default_rng(0)
    exact = [average_precision((rng.random(q.size) < q) * 1.0, q) for _ in range(1000)]
    at = [np.flatnonzero(year == v) for v in np.unique(year)]
    drawn = []
    for _ in range(1000):
        i = np.concatenate([at[k] for k in rng.integers(0, len(at), len(at))])
        drawn.append(average_precision(y[i], q[i]))
    for label, x in (("were the forecasts exact", exact), ("years drawn again", drawn)):
        low, high = np.quantile(x, [0.025, 0.975])
        sys.stdout.write(
            f"AP quiet {first}-{last}, {label}: {np.mean(x):.4f}, s.d. {np.std(x):.4f} "
            f"({low:.4f}, {high:.4f})\n"
        )


def main() -> None:
    """The table of variants."""
    whole = lab.table(light=False)
    found = families(whole)
    base = shipped()
    every = {
        n: x
        for k, c in found.items()
        if "(control)" not in k and "few:" not in k
        for n, x in c.items()
    }
    p0 = report("shipped", fit(base))
    noise(p0, *SELECTION)

    def calm(origin: int) -> np.ndarray:
        return modern(origin) * quiet

    own = Effects(dyad=0.5, state=0.2, era_slopes={"far": 0.15})
    alone = fit(base.without("quiet"), effects=own, weights=calm)
    report("fitted to quiet rows only, in their place", np.where(quiet > 0, alone, p0), p0)
    mixed = pooled(p0, alone)
    report("  the same, pooled with the shipped (logit)", np.where(quiet > 0, mixed, p0), p0)
    alone = fit(extended(base.without("quiet"), every, sd=0.1), effects=own, weights=calm)
    report("  the same with all columns, s.d. .1, in place", np.where(quiet > 0, alone, p0), p0)
    for name, columns in found.items():
        report(f"+ {name}", fit(extended(base, columns)), p0)
        if len(columns) > 1:
            report(f"+ {name} x quiet", fit(extended(base, columns, {"quiet": quiet})), p0)
    civil = found["internal conflict"]
    for label, stratum in (("land", land), ("far", far)):
        report(f"+ internal conflict x {label}", fit(extended(base, civil, {label: stratum})), p0)
    report("+ all of them, s.d. .1", fit(extended(base, every, sd=0.1)), p0)
    for sd in (0.1, 0.25):
        report(f"every term x quiet, s.d. {sd}", fit(by_quiet(base, sd)), p0)
    x = np.column_stack([*base.values, *every.values()])
    grown = np.mean([trees(x, seed=k) for k in range(3)], axis=0)
    report("trees on quiet rows, all columns, in place", np.where(quiet > 0, grown, p0), p0)
    report("  pooled with the shipped (logit)", np.where(quiet > 0, pooled(p0, grown), p0), p0)
    for seed in range(6):
        report(f"placebo: noise {seed}", fit(extended(base, placebo(whole, seed))), p0)


def pooled(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The mean of two forecasts on the scale of log odds."""
    return expit((logit(p) + logit(q)) / 2)


def confirm() -> None:
    """The single look at 1991-2000 of the block that was chosen."""
    found = families(lab.table(light=False))
    base = shipped()
    p0 = fit(base, 2000)
    p1 = fit(extended(base, found[CHOSEN]), 2000)
    for years in (SELECTION, CONFIRMATION, (1960, 2000)):
        noise(p0, *years)
        label = f"{years[0]}-{years[1]}"
        report(f"shipped, {label}", p0, None, years)
        report(f"+ {CHOSEN}, {label}", p1, p0, years)


#: Chosen on 1960-1990.
CHOSEN = "few: internal conflict of either side"

if __name__ == "__main__":
    confirm() if "confirm" in sys.argv[1:] else main()
