"""Stage 7: without hindsight. Rivalry lists are coded by people who know who fought later."""

import numpy as np
from lab import log_columns, run, table
from ridge import Effects
from rows import decayed, entries
from stage1 import clock, geography
from stage3 import HIST, SIDES, far, land, quiet, rows
from stage5 import FAMILIES, modern
from stage6 import with_far

S = "7 without rivalry lists"
ENT = FAMILIES["entangled"]


def derived():
    """Rivals by the record alone: onsets within twenty years, known in the year before."""
    whole = table(light=False)
    onset, entered = whole.world["onset"].astype(np.float32), entries(whole.world)
    running = np.cumsum(onset, axis=0)
    window = running.copy()
    window[20:] -= running[:-20]
    three, two = window >= 3, window >= 2
    found = {"derived_3": whole.pair(three), "derived_2": whole.pair(two)}
    x, z = whole.sides(two.sum(2))
    found["rivals_max"], found["rivals_min"] = np.maximum(x, z), np.minimum(x, z)
    mean = decayed(onset, 20, entered)
    x, z = whole.sides((mean > 0.5).sum(2))
    found["foes_max"], found["foes_min"] = np.maximum(x, z), np.minimum(x, z)
    return found


def plain():
    d = clock(geography())
    d.add("last", rows["dispute_last_year"])
    log_columns(d, rows, [*HIST, *SIDES])
    d.add("far", far)
    d.add("quiet", quiet)
    d.add("joint far", np.log(rows["joint_capability"]) * far)
    d.add("ratio far", rows["capability_ratio"] * far)
    return d


def with_rivals(d, riv, counts):
    d.add("rivalry", riv)
    for n in ("disputes_total", "dyad_decay_3", "dyad_decay_20"):
        d.add(n + " riv", np.log1p(rows[n]) * riv)
    for name, x in (("land", land), ("far", far)):
        d.add("riv " + name, riv * x)
    for n, x in counts.items():
        d.add(n, np.log1p(x))
    return d


if __name__ == "__main__":
    kw = {"weights": modern}
    extra = derived()
    p0 = run(rows, S, "no rivalry, no alliances", plain(), **kw)
    pe = run(rows, S, "no rivalry, entangled x far", with_far(plain(), ENT), against=p0, **kw)
    for k in ("derived_3", "derived_2"):
        b = with_rivals(plain(), extra[k], {n: extra[n] for n in ("rivals_max", "rivals_min")})
        q0 = run(rows, S, f"{k}, no alliances", b, against=p0, **kw)
        run(rows, S, f"{k}, entangled x far", with_far(b.copy(), ENT), against=q0, **kw)
    b = plain()
    log_columns_more = {
        n: np.log1p(rows[n])
        for n in ("disputes_total", "dyad_decay_3", "dyad_decay_8", "dyad_decay_20")
    }
    L = log_columns_more
    b.add("t*t", L["disputes_total"] ** 2)
    b.add("d3*d20", L["dyad_decay_3"] * L["dyad_decay_20"])
    b.add("d3*t", L["dyad_decay_3"] * L["disputes_total"])
    b.add("last*t", rows["dispute_last_year"] * L["disputes_total"])
    q0 = run(rows, S, "history products, no alliances", b, against=p0, **kw)
    q1 = run(
        rows, S, "history products, entangled x far", with_far(b.copy(), ENT), against=q0, **kw
    )
    c = b.copy()
    for n in ("disputes_total", "dyad_decay_8"):
        c.add(n + " land", L[n] * land)
        c.add(n + " far", L[n] * far)
    for n in SIDES:
        c.add(n + " far", np.log1p(rows[n]) * far)
    run(
        rows,
        S,
        "  + history, sides x land, far; entangled x far",
        with_far(c.copy(), ENT),
        against=q1,
        **kw,
    )
    c = b.copy()
    for n in ("foes_max", "foes_min"):
        c.add(n, np.log1p(extra[n]))
    run(rows, S, "  + number of recent foes; entangled x far", with_far(c, ENT), against=q1, **kw)
    c = with_far(b.copy(), ENT)
    for n in ("polyarchy_max", "polyarchy_min", "joint_democracy"):
        c.add(n, rows[n])
    run(rows, S, "  + regime; entangled x far", c, against=q1, **kw)
    run(
        rows,
        S,
        "  dyad .6; entangled x far",
        with_far(b.copy(), ENT),
        Effects(dyad=0.6),
        against=q1,
        **kw,
    )
    c = with_far(b.copy(), [*ENT, *FAMILIES["pact in dyad"]])
    q2 = run(rows, S, "  + pact in dyad x far; entangled x far", c, against=q1, **kw)
    matured = np.nan_to_num(rows["rivalry"]) * (rows["disputes_total"] > 0)
    c = with_rivals(plain(), matured, {})
    run(
        rows,
        S,
        "rivalry list, only after a first dispute; entangled x far",
        with_far(c, ENT),
        against=q1,
        **kw,
    )
