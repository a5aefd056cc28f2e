"""Stage 5: alliances. Each family on top of everything else, pooled and where slopes may differ."""

import numpy as np
from lab import log_columns, run
from rows import FOLDER
from stage1 import clock, geography
from stage3 import HIST, SIDES, far, land, quiet, rows, ww

S = "5 alliances"
riv = np.nan_to_num(rows["rivalry"])
post = (rows.year > 1945) * 1.0
major2 = (rows["major_now"] == 2) * 1.0


def modern(origin):
    """Rows since 1900 without the world-war years."""
    return (rows.year >= 1900) * (1.0 - ww)


def base():
    d = clock(geography())
    d.add("last", rows["dispute_last_year"])
    log_columns(d, rows, [*HIST, *SIDES])
    d.add("far", far)
    d.add("quiet", quiet)
    d.add("rivalry", rows["rivalry"])
    for n in ("disputes_total", "dyad_decay_3", "dyad_decay_20"):
        d.add(n + " riv", np.log1p(rows[n]) * riv)
    for name, x in (("land", land), ("far", far), ("quiet", quiet)):
        d.add("riv " + name, riv * x)
    log_columns(d, rows, ["rival_count_max", "rival_count_min"])
    d.add("joint far", np.log(rows["joint_capability"]) * far)
    d.add("ratio far", rows["capability_ratio"] * far)
    return d


def value(name):
    x = rows[name]
    top = np.nanmax(x)
    return np.log1p(x) if top > 1.5 and np.nanmin(x) >= 0 else x


FAMILIES = {
    "expansion": [
        "own_expansion_max",
        "own_expansion_min",
        "frontier_expansion_max",
        "mutual_expansion",
        "new_pact_5_max",
        "new_pact_5_min",
    ],
    "dependency": [
        "external_share_max",
        "external_share_min",
        "patron_withdrawal_loss_max",
        "patron_withdrawal_loss_min",
        "has_ally_min",
    ],
    "commitment": [
        "commitment_balance_max",
        "commitment_balance_min",
        "commitments_owed_risk_max",
        "commitments_owed_risk_min",
    ],
    "pact in dyad": [
        "pact_in_dyad_defense",
        "pact_in_dyad_nonaggression",
        "pact_in_dyad_neutrality",
        "peaceful_settlement",
    ],
    "outside": [
        "outside_defense_max",
        "outside_defense_min",
        "outside_offense_max",
        "outside_neutrality_max",
        "outside_allies_max",
        "outside_allies_min",
        "shared_allies",
    ],
    "entangled": [
        "ally_in_dispute_with_opponent_max",
        "ally_in_dispute_with_opponent_min",
        "ally_in_dispute_elsewhere_max",
        "third_allies",
    ],
    "structure": [
        "structural_balance_ally_enemy",
        "structural_balance_enemy_enemy",
        "portfolio_similarity_S",
        "bloc_parity",
        "multilateral_share_max",
    ],
}
STRATA = {
    "post-1945": post,
    "far": far,
    "land": land,
    "rival": riv,
    "quiet": quiet,
    "majors": major2,
}


def block(d, names, by=None, label="", sd=0.5):
    for n in names:
        x = value(n)
        d.add(n + label, x if by is None else (x - np.nanmean(x)) * by, sd)
    return d


if __name__ == "__main__":
    b = base()
    kw = {"weights": modern}
    p1 = run(rows, S, "base (from 1900, no alliances)", b, **kw)
    np.save(FOLDER / "p_stage5_base.npy", p1)
    for f, names in FAMILIES.items():
        run(rows, S, f"+ {f}", block(b.copy(), names), against=p1, **kw)
        for s in ("post-1945", "far", "rival", "quiet"):
            e = block(b.copy(), names)
            block(e, names, STRATA[s], f" x {s}", 0.25)
            run(rows, S, f"+ {f} x {s}", e, against=p1, **kw)
    every = [n for names in FAMILIES.values() for n in names]
    run(rows, S, "+ all alliances", block(b.copy(), every, sd=0.25), against=p1, **kw)
