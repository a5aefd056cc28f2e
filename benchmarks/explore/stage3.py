"""Stage 3: without world-war years. What moves the level, and how histories should count."""

import numpy as np
from lab import Effects, add_spline, log_columns, run, table
from stage1 import clock, geography

rows = table()
S = "3 no world wars"
HIST = ["disputes_total", "dyad_decay_1", "dyad_decay_3", "dyad_decay_8", "dyad_decay_20"]
SIDES = ["side_other_max_2", "side_other_min_2", "side_other_max_10", "side_other_min_10"]
far = (rows["class_now"] == 0) * 1.0
land = (rows["class_now"] == 1) * 1.0
quiet = (rows["peace_years"] > 10) * 1.0
ww = ((rows.year >= 1914) & (rows.year <= 1918)) | ((rows.year >= 1939) & (rows.year <= 1945))
NW = lambda origin: 1.0 - ww  # noqa: E731


def base():
    d = clock(geography())
    d.add("last", rows["dispute_last_year"])
    log_columns(d, rows, HIST + SIDES)
    d.add("far", far)
    d.add("quiet", quiet)
    return d


W3 = {"far": 0.2, "quiet": 0.2}
if __name__ == "__main__":
    b = base()
    kw = {"weights": NW}
    p1 = run(rows, S, "base without world-war years", b, **kw)
    for e in (0.05, 0.1, 0.2):
        run(rows, S, f"era walk {e}", b, Effects(era=e), against=p1, **kw)
    for e in (0.1, 0.2):
        run(
            rows,
            S,
            f"era, far, quiet walks {e}",
            b,
            Effects(era=e, era_slopes={"far": e, "quiet": e}),
            against=p1,
            **kw,
        )
    run(
        rows,
        S,
        "far, quiet walks .2, no era",
        b,
        Effects(era_slopes={"far": 0.2, "quiet": 0.2}),
        against=p1,
        **kw,
    )
    for s in (0.25, 0.5):
        run(rows, S, f"era .1, state {s}", b, Effects(era=0.1, state=s), against=p1, **kw)
    for s in (0.5, 0.8):
        run(rows, S, f"era .1, dyad {s}", b, Effects(era=0.1, dyad=s), against=p1, **kw)
    for y0 in (1816, 1870, 1900, 1946):
        if y0 > 1816:
            run(
                rows,
                S,
                f"from {y0}",
                b,
                weights=lambda o, y0=y0: (rows.year >= y0) * (1.0 - ww),
                against=p1,
            )
    for h in (15, 30):
        run(
            rows,
            S,
            f"weights halved every {h} years",
            b,
            weights=lambda o, h=h: (1 - ww) * 0.5 ** ((o - rows.year) / h),
            against=p1,
        )
    e = b.copy()
    e.add("land x quiet", land * quiet)
    run(rows, S, "+ land x quiet", e, against=p1, **kw)
    e = b.copy()
    for n in ("disputes_total", "dyad_decay_3", "dyad_decay_20"):
        e.add(n + " land", np.log1p(rows[n]) * land)
        e.add(n + " far", np.log1p(rows[n]) * far)
    run(rows, S, "+ history x land, far", e, against=p1, **kw)
    for h in (1, 2, 5):
        for kind in ("relevant_rate", "system_rate"):
            r = np.log(rows[f"{kind}_{h}"] + 0.0005)
            e = b.copy()
            e.add("rate", r)
            run(rows, S, f"+ {kind} h={h}", e, against=p1, **kw)
    e = b.copy()
    add_spline(e, "ratio", rows["capability_ratio"], (0, 1, 2, 4, 7))
    run(rows, S, "+ capability-ratio spline", e, against=p1, **kw)
    e = b.copy()
    e.add("dist", rows["distance"])
    run(rows, S, "+ distance", e, against=p1, **kw)
    e = b.copy()
    e.add("rivalry", rows["rivalry"])
    run(rows, S, "+ rivalry (TSS)", e, against=p1, **kw)
    e = b.copy()
    for n in ("polyarchy_max", "polyarchy_min", "joint_democracy"):
        e.add(n, rows[n])
    run(rows, S, "+ regime", e, against=p1, **kw)
    e = b.copy()
    e.add("igos", rows["joint_igos"])
    run(rows, S, "+ joint IGOs", e, against=p1, **kw)
    e = b.copy()
    e.add("age", np.log1p(rows["age_min"]))
    e.add("new", (rows["age_min"] <= 2) * 1.0)
    run(rows, S, "+ age of the younger state", e, against=p1, **kw)
    for n in (
        "hot_max",
        "hot_min",
        "third_near",
        "third_allies",
        "common_foes",
        "lowrank_3",
        "lowrank_8",
        "fatal_decay_8",
        "force_decay_8",
        "war_decay_20",
        "fatal_decay_20",
        "initiated_both_10",
        "initiator_max_10",
        "initiator_min_10",
        "fatal_side_max_5",
        "war_side_max_5",
        "dyad_decay_50",
        "capability_share_min",
        "capability_share_max",
    ):
        e = b.copy()
        e.add(n, np.log1p(np.maximum(rows[n], 0)) if not n.startswith("capab") else np.log(rows[n]))
        run(rows, S, "+ " + n, e, against=p1, **kw)
