"""Stage 8: how much hindsight a rivalry list holds, and the best that the record alone gives."""

import sys

import numpy as np
from lab import run, table
from ridge import Effects
from stage1 import clock  # noqa: F401  (same knots)
from stage3 import rows
from stage5 import FAMILIES, modern
from stage6 import with_far
from stage7 import derived, plain, with_rivals

S = "8 rivalry by record or by list"
BLOCK = [*FAMILIES["entangled"], "pact_in_dyad_defense", "pact_in_dyad_nonaggression"]

if __name__ == "__main__":
    kw = {"weights": modern}
    whole = table(light=False)
    lists = whole.world["rivalry"]
    years = whole.t
    known = {
        k: lists[np.maximum(years - k, 0), whole.a, whole.b].astype(float) for k in (1, 2, 5, 10)
    }
    first = np.isclose(known[1], 1) & np.isclose(known[2], 0)
    later = np.isclose(known[1], 1) & np.isclose(known[5], 1)
    for name, mask in (
        ("first year of a listed rivalry behind the row", first),
        ("fifth or later", later),
    ):
        use = mask & (rows.year >= 1900) & (rows.year <= 1990)
        sys.stdout.write(
            f"{name}: {int(use.sum())} rows, onset rate {rows.y[use].mean():.3f}; "
            f"never a dispute before: {int((use & (rows['disputes_total'] == 0)).sum())} rows, "
            f"{rows.y[use & (rows['disputes_total'] == 0)].mean():.3f}\n"
        )
    extra = derived()
    counts = {n: extra[n] for n in ("rivals_max", "rivals_min")}
    e = Effects(dyad=0.5, state=0.2, era_slopes={"far": 0.15, "quiet": 0.15})
    small = Effects(dyad=0.5, era_slopes={"far": 0.15, "quiet": 0.15})
    record = with_rivals(plain(), extra["derived_3"], counts)
    p0 = run(rows, S, "record, no alliances; state, dyad, walks", record, e, **kw)
    p1 = run(
        rows,
        S,
        "record, alliances; state, dyad, walks",
        with_far(record.copy(), BLOCK),
        e,
        against=p0,
        **kw,
    )
    run(
        rows,
        S,
        "record, alliances; dyad, walks",
        with_far(record.copy(), BLOCK),
        small,
        against=p1,
        **kw,
    )
    run(
        rows,
        S,
        "record, alliances; dyad .5 only",
        with_far(record.copy(), BLOCK),
        Effects(dyad=0.5),
        against=p1,
        **kw,
    )
    for k in (5, 10):
        d = with_far(with_rivals(plain(), known[k] * known[1], {}), BLOCK)
        run(rows, S, f"list, rivals for at least {k} years", d, small, against=p1, **kw)
        d = with_far(with_rivals(plain(), known[k], {}), BLOCK)
        run(rows, S, f"list as of {k} years ago", d, small, against=p1, **kw)
