"""Stage 4: with rivalry. Which disputes count as history; interactions; drifting slopes."""

import numpy as np
from lab import Effects, add_spline, log_columns, run
from stage1 import clock, geography
from stage3 import HIST, NW, SIDES, far, land, quiet, rows, ww

S = "4 with rivalry"
riv = np.nan_to_num(rows["rivalry"])


def base(hist=HIST, sides=SIDES):
    d = clock(geography())
    d.add("last", rows["dispute_last_year"])
    log_columns(d, rows, [*hist, *sides])
    d.add("far", far)
    d.add("quiet", quiet)
    d.add("rivalry", rows["rivalry"])
    d.add("third_allies", np.log1p(rows["third_allies"]))
    return d


if __name__ == "__main__":
    kw = {"weights": NW}
    b = base()
    p1 = run(rows, S, "base: rivalry, third_allies", b, **kw)
    for k in ("orig", "sized", "small", "bil", "noww"):
        hist = [f"{k}_decay_{h}" for h in (1, 3, 8, 20, 1000000)]
        sides = [f"{k}_other_{m}_{h}" for m in ("max", "min") for h in (2, 10)]
        run(rows, S, f"dyad histories of {k} disputes", base(hist=hist), against=p1, **kw)
        run(rows, S, f"side histories of {k} disputes", base(sides=sides), against=p1, **kw)
        e = b.copy()
        log_columns(e, rows, hist[1:])
        run(rows, S, f"both: all and {k}", e, against=p1, **kw)
    e = b.copy()
    e.add("riv land", riv * land)
    e.add("riv far", riv * far)
    e.add("riv quiet", riv * quiet)
    run(rows, S, "+ rivalry x land, far, quiet", e, against=p1, **kw)
    e = b.copy()
    for n in ("disputes_total", "dyad_decay_3", "dyad_decay_20"):
        e.add(n + " riv", np.log1p(rows[n]) * riv)
    run(rows, S, "+ rivalry x history", e, against=p1, **kw)
    e = b.copy()
    add_spline(
        e,
        "peace",
        np.log1p(rows["peace_years"]),
        np.log1p((0, 2, 8, 25, 60)),
        by=riv,
        by_name=" riv",
    )
    run(rows, S, "+ rivalry x clock", e, against=p1, **kw)
    e = b.copy()
    add_spline(
        e,
        "peace",
        np.log1p(rows["peace_years"]),
        np.log1p((0, 2, 8, 25, 60)),
        by=land,
        by_name=" land",
    )
    run(rows, S, "+ land x clock", e, against=p1, **kw)
    e = b.copy()
    for n in SIDES:
        e.add(n + " far", np.log1p(rows[n]) * far)
        e.add(n + " quiet", np.log1p(rows[n]) * quiet)
    run(rows, S, "+ sides x far, quiet", e, against=p1, **kw)
    e = b.copy()
    for m in ("max", "min"):
        e.add(f"rivals {m}", np.log1p(rows[f"rival_count_{m}"]))
    run(rows, S, "+ number of rivals", e, against=p1, **kw)
    e = b.copy()
    e.add("joint far", np.log(rows["joint_capability"]) * far)
    e.add("ratio far", rows["capability_ratio"] * far)
    run(rows, S, "+ power x far", e, against=p1, **kw)
    e = b.copy()
    e.add("total*total", np.log1p(rows["disputes_total"]) ** 2)
    e.add("d3*d20", np.log1p(rows["dyad_decay_3"]) * np.log1p(rows["dyad_decay_20"]))
    e.add("last*d8", rows["dispute_last_year"] * np.log1p(rows["dyad_decay_8"]))
    run(rows, S, "+ history squared and products", e, against=p1, **kw)
    e = b.copy()
    for n in ("dyad_decay_3", "dyad_decay_8", "dyad_decay_20"):
        e.add("lin " + n, rows[n])
    run(rows, S, "+ histories, linear too", e, against=p1, **kw)
    for s in (0.15, 0.3):
        run(
            rows,
            S,
            f"far, quiet walks {s}",
            b,
            Effects(era_slopes={"far": s, "quiet": s}),
            against=p1,
            **kw,
        )
        run(
            rows,
            S,
            f"far, quiet, total walks {s}",
            b,
            Effects(era_slopes={"far": s, "quiet": s, "disputes_total": s}),
            against=p1,
            **kw,
        )
        run(
            rows,
            S,
            f"far, quiet, total, rivalry, d8 walks {s}",
            b,
            Effects(
                era_slopes={
                    "far": s,
                    "quiet": s,
                    "disputes_total": s,
                    "rivalry": s,
                    "dyad_decay_8": s,
                }
            ),
            against=p1,
            **kw,
        )
        run(
            rows,
            S,
            "  the same, step 10",
            b,
            Effects(
                era_step=10,
                era_slopes={
                    "far": s,
                    "quiet": s,
                    "disputes_total": s,
                    "rivalry": s,
                    "dyad_decay_8": s,
                },
            ),
            against=p1,
            **kw,
        )
    for s in (0.2, 0.4):
        run(rows, S, f"state {s}", b, Effects(state=s), against=p1, **kw)
        run(rows, S, f"dyad {s}", b, Effects(dyad=s), against=p1, **kw)
    for h in (15, 30):
        run(
            rows,
            S,
            f"weights halved every {h} years",
            b,
            weights=lambda o, h=h: (1 - ww) * 0.5 ** ((o - rows.year) / h),
            against=p1,
        )
    run(rows, S, "from 1900", b, weights=lambda o: (rows.year >= 1900) * (1.0 - ww), against=p1)
