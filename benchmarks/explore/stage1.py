"""Stage 1: the shape of history. What the base gains from finer clocks and decayed counts."""

import numpy as np
from lab import Effects, add_spline, log_columns, run, table
from ridge import Design

rows = table()
S = "1 history"


def geography(now=True):
    d = Design()
    if now:
        c = rows["class_now"]
        d.add("land", (c == 1) * 1.0)
        for k in (2, 3, 4, 5):
            d.add(f"class{k}", (c == k) * 1.0)
        d.add("majors", rows["major_now"])
        d.add("two majors", (rows["major_now"] == 2) * 1.0)
        d.add("land x majors", (c == 1) * rows["major_now"])
    else:
        for n in ("land_contiguity", "contiguity_closeness", "major_powers"):
            d.add(n, rows[n])
    d.add("ratio", rows["capability_ratio"])
    d.add("joint", np.log(rows["joint_capability"]))
    return d


def clock(d, knots=(0, 1, 2, 4, 8, 16, 32, 64, 128)):
    add_spline(d, "peace", np.log1p(rows["peace_years"]), np.log1p(knots))
    return d


if __name__ == "__main__":
    old = clock(geography(False), (0, 2, 8, 25, 60))
    old.add("last", rows["dispute_last_year"])
    old.add("total", np.log1p(rows["disputes_total"]))
    old.add("recent", np.log1p(rows["disputes_recent_10"]))
    b0 = run(rows, S, "history logit, spline clock", old)
    new = clock(geography(True), (0, 2, 8, 25, 60))
    new.add("last", rows["dispute_last_year"])
    new.add("total", np.log1p(rows["disputes_total"]))
    new.add("recent", np.log1p(rows["disputes_recent_10"]))
    b1 = run(rows, S, "+ geography of the row's year, classes", new, against=b0)
    d = clock(geography())
    d.add("last", rows["dispute_last_year"])
    log_columns(
        d, rows, ["disputes_total", "dyad_decay_1", "dyad_decay_3", "dyad_decay_8", "dyad_decay_20"]
    )
    b2 = run(rows, S, "decays 1,3,8,20 + total, fine clock", d, against=b1)
    e = d.copy()
    log_columns(e, rows, ["side_max_2", "side_min_2", "side_max_10", "side_min_10"])
    b3 = run(rows, S, "+ sides 2, 10 max min (log)", e, against=b2)
    e2 = d.copy()
    log_columns(
        e2, rows, ["side_other_max_2", "side_other_min_2", "side_other_max_10", "side_other_min_10"]
    )
    b4 = run(rows, S, "+ sides' other disputes 2, 10 (log)", e2, against=b2)
    e3 = d.copy()
    log_columns(
        e3,
        rows,
        [
            "side_other_max_1",
            "side_other_min_1",
            "side_other_max_5",
            "side_other_min_5",
            "side_other_max_20",
            "side_other_min_20",
        ],
    )
    run(rows, S, "+ sides' other disputes 1, 5, 20 (log)", e3, against=b2)
    e4 = e2.copy()
    x, z = np.log1p(rows["side_other_max_10"]), np.log1p(rows["side_other_min_10"])
    e4.add("max x min", x * z)
    run(rows, S, "  + product of the two sides", e4, against=b4)
    for scale in (0.1, 0.2, 0.3, 0.5):
        run(rows, S, f"  + era walk {scale}", e2, Effects(era=scale), against=b4)
    for scale in (0.2, 0.35, 0.5):
        run(rows, S, f"  + era .2, state {scale}", e2, Effects(era=0.2, state=scale), against=b4)
    for scale in (0.5, 0.8, 1.0):
        run(
            rows,
            S,
            f"  + era .2, state .35, dyad {scale}",
            e2,
            Effects(era=0.2, state=0.35, dyad=scale),
            against=b4,
        )
