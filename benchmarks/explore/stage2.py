"""Stage 2: the level. Quiet pairs without a border are over-forecast after 1945."""

import numpy as np
from lab import Effects, log_columns, run, table
from stage1 import clock, geography

rows = table()
S = "2 level"
HIST = ["disputes_total", "dyad_decay_1", "dyad_decay_3", "dyad_decay_8", "dyad_decay_20"]
SIDES = ["side_other_max_2", "side_other_min_2", "side_other_max_10", "side_other_min_10"]


def base():
    d = clock(geography())
    d.add("last", rows["dispute_last_year"])
    log_columns(d, rows, HIST + SIDES)
    return d


far = (rows["class_now"] == 0) * 1.0
quiet = (rows["peace_years"] > 10) * 1.0
if __name__ == "__main__":
    b = base()
    p0 = run(rows, S, "base: decays and sides", b)
    d = b.copy()
    d.add("far", far)
    d.add("quiet", quiet)
    d.add("far x quiet", far * quiet)
    p1 = run(rows, S, "+ far, quiet, far x quiet", d, against=p0)
    for e in (0.1, 0.2, 0.35):
        run(rows, S, f"era walk {e}", d, Effects(era=e), against=p1)
    for e in (0.1, 0.2, 0.35):
        run(
            rows,
            S,
            f"era walk {e}, far walk {e}",
            d,
            Effects(era=e, era_slopes={"far": e}),
            against=p1,
        )
    for e in (0.1, 0.2, 0.35):
        run(
            rows,
            S,
            f"era, far, quiet walks {e}",
            d,
            Effects(era=e, era_slopes={"far": e, "quiet": e}),
            against=p1,
        )
    for w in (40, 60, 90):
        run(rows, S, f"sliding window {w}", d, window=w, against=p1)
    for h in (15, 25, 40):
        run(
            rows,
            S,
            f"weights halved every {h} years",
            d,
            weights=lambda o, h=h: 0.5 ** ((o - rows.year) / h),
            against=p1,
        )
    ww = ((rows.year >= 1914) & (rows.year <= 1918)) | ((rows.year >= 1939) & (rows.year <= 1945))
    run(rows, S, "without world-war years", d, weights=lambda o: 1.0 - ww, against=p1)
    e = d.copy()
    e.add("ww", ww * 1.0, 3.0)
    e.add("ww far", ww * far, 3.0)
    e.add("ww quiet", ww * quiet, 3.0)
    run(rows, S, "world-war years x far, quiet as nuisance", e, against=p1)
    r = np.log(rows["relevant_rate_2"] + 0.002)
    e = d.copy()
    e.add("rate", r)
    e.add("rate far", (r - r.mean()) * far)
    e.add("rate quiet", (r - r.mean()) * quiet)
    run(rows, S, "recent rate of relevant dyads (h=2) x far, quiet", e, against=p1)
    e.add("ww", ww * 1.0, 3.0)
    e.add("ww far", ww * far, 3.0)
    e.add("ww quiet", ww * quiet, 3.0)
    run(rows, S, "  the same + world-war nuisance", e, against=p1)
    run(
        rows,
        S,
        "  the same + era, far, quiet walks .2",
        e,
        Effects(era=0.2, era_slopes={"far": 0.2, "quiet": 0.2}),
        against=p1,
    )
