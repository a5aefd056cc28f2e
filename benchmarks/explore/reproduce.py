# ruff: noqa: E501
"""The baseline table of the evaluation design on our rows (expanding window, refit every 5 years)."""

import sys

import numpy as np
from ridge import Design, backtest
from rows import FOLDER, line, load, scores

from forecast.evaluation.baselines import boosted_trees

rows = load()
FIRST, LAST = 1960, 2000


def cubic(design, years):
    for k in (1, 2, 3):
        design.add(f"peace{k}", (years / 10) ** k)


geo = Design()
for name in ("land_contiguity", "contiguity_closeness", "major_powers", "capability_ratio"):
    geo.add(name, rows[name])
geo.add("joint_capability", np.log(rows["joint_capability"]))
peace = geo.copy()
cubic(peace, rows["peace_years"])
hist = peace.copy()
hist.add("last", rows["dispute_last_year"])
hist.add("total", np.log1p(rows["disputes_total"]))
hist.add("recent", np.log1p(rows["disputes_recent_10"]))
state = hist.copy()
for side in ("max", "min"):
    state.add(side, rows[f"state_disputes_recent_10_{side}"])
state.add("system", rows["system_disputes_recent_5"])
TEN = [
    "pact_in_dyad_defense",
    "pact_in_dyad_nonaggression",
    "pact_in_dyad_neutrality",
    "outside_defense_max",
    "outside_defense_min",
    "outside_offense_max",
    "outside_neutrality_max",
    "shared_allies",
    "new_pact_5_max",
    "ally_in_dispute_with_opponent_max",
]
allies = state.copy()
for name in TEN:
    allies.add(name, np.log1p(rows[name]) if name == "shared_allies" else rows[name])


def boost(names, refit=5, seed=0):
    X = np.column_stack([rows[n] for n in names])
    p = np.full(rows.y.size, np.nan)
    for origin in range(FIRST, LAST + 1, refit):
        train = rows.year < origin
        test = (rows.year >= origin) & (rows.year < min(origin + refit, LAST + 1))
        trees = boosted_trees(seed).fit(X[train], rows.y[train])
        p[test] = trees.predict_proba(X[test])[:, 1]
    return p


G = [
    "land_contiguity",
    "contiguity_closeness",
    "major_powers",
    "capability_ratio",
    "joint_capability",
]
H = [*G, "peace_years", "dispute_last_year", "disputes_total", "disputes_recent_10"]
S = [*H, "state_disputes_recent_10_max", "state_disputes_recent_10_min", "system_disputes_recent_5"]
A = [*S, *TEN]
if __name__ == "__main__":
    for name, d in (
        ("geo", geo),
        ("+peace", peace),
        ("+history", hist),
        ("+state,system", state),
        ("+alliances", allies),
    ):
        p, _ = backtest(rows, d, first=FIRST, last=LAST, thin=False)
        sys.stdout.write(line("logit " + name, scores(rows, p, FIRST, LAST)) + "\n")
        sys.stdout.write(line("   1960-90", scores(rows, p, 1960, 1990)) + "\n")
    for name, names in (("history", H), ("+state,system", S), ("+alliances", A)):
        p = boost(names)
        np.save(FOLDER / f"boost_{name.strip('+')}.npy", p)
        sys.stdout.write(line("boosting " + name, scores(rows, p, FIRST, LAST)) + "\n")
        sys.stdout.write(line("   1960-90", scores(rows, p, 1960, 1990)) + "\n")
        sys.stdout.flush()
