"""Stage 6: combinations of what helped, the shape of the alliance block, and scales."""

import numpy as np
from lab import Effects, run
from rows import FOLDER
from stage5 import FAMILIES, base, block, far, modern, rows, ww

S = "6 combination"
ENT = FAMILIES["entangled"]


def with_far(d, names, sd=0.5, by=0.25):
    block(d, names, sd=sd)
    return block(d, names, far, " x far", by)


if __name__ == "__main__":
    kw = {"weights": modern}
    p1 = np.load(FOLDER / "p_stage5_base.npy")
    ent = with_far(base(), ENT)
    pe = run(rows, S, "entangled x far", ent, against=p1, **kw)
    run(
        rows,
        S,
        "entangled x far, wider priors (1, 1)",
        with_far(base(), ENT, 1.0, 1.0),
        against=pe,
        **kw,
    )
    for n in ENT:
        run(rows, S, f"only {n} x far", with_far(base(), [n]), against=p1, **kw)
    e = base()
    e.add("third_near", np.log1p(np.maximum(rows["third_near"], 0)))
    e.add("third_near far", np.log1p(np.maximum(rows["third_near"], 0)) * far)
    run(rows, S, "placebo: disputes with the other's neighbours x far", e, against=p1, **kw)
    for f in ("pact in dyad", "commitment", "dependency"):
        run(rows, S, f"entangled, {f} x far", with_far(ent.copy(), FAMILIES[f]), against=pe, **kw)
    few = [
        "pact_in_dyad_defense",
        "pact_in_dyad_nonaggression",
        "external_share_max",
        "external_share_min",
        "commitments_owed_risk_max",
        "commitments_owed_risk_min",
    ]
    run(
        rows,
        S,
        "entangled + 6 of the others x far",
        with_far(ent.copy(), few, 0.25, 0.25),
        against=pe,
        **kw,
    )
    run(
        rows,
        S,
        "entangled, everything else pooled, s.d. .1",
        block(ent.copy(), [n for f in FAMILIES if f != "entangled" for n in FAMILIES[f]], sd=0.1),
        against=pe,
        **kw,
    )
    run(
        rows,
        S,
        "entangled x far; far, quiet walks .15",
        ent,
        Effects(era_slopes={"far": 0.15, "quiet": 0.15}),
        against=pe,
        **kw,
    )
    run(rows, S, "entangled x far; era walk .1", ent, Effects(era=0.1), against=pe, **kw)
    run(rows, S, "entangled x far; dyad .4", ent, Effects(dyad=0.4), against=pe, **kw)
    run(
        rows,
        S,
        "entangled x far; state .2, dyad .4",
        ent,
        Effects(dyad=0.4, state=0.2),
        against=pe,
        **kw,
    )
    run(rows, S, "entangled x far; from 1816", ent, against=pe, weights=lambda o: 1.0 - ww)
    run(
        rows,
        S,
        "entangled x far; from 1870",
        ent,
        against=pe,
        weights=lambda o: (rows.year >= 1870) * (1.0 - ww),
    )
    run(
        rows,
        S,
        "entangled x far; world wars kept",
        ent,
        against=pe,
        weights=lambda o: (rows.year >= 1900) * 1.0,
    )
    run(rows, S, "entangled x far; refit every year", ent, against=pe, refit=1, **kw)
