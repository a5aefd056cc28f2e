"""What trees reach with every candidate column, without world-war years: a ceiling to read."""

import sys

import numpy as np
from lab import table
from rows import FOLDER, line, scores

from forecast.evaluation.baselines import boosted_trees

rows = table()
ww = ((rows.year >= 1914) & (rows.year <= 1918)) | ((rows.year >= 1939) & (rows.year <= 1945))
H = [
    "class_now",
    "major_now",
    "capability_ratio",
    "joint_capability",
    "peace_years",
    "dispute_last_year",
    "disputes_total",
    "dyad_decay_1",
    "dyad_decay_3",
    "dyad_decay_8",
    "dyad_decay_20",
]
S = [
    *H,
    "side_other_max_2",
    "side_other_min_2",
    "side_other_max_10",
    "side_other_min_10",
    "relevant_rate_2",
]
R = [
    *S,
    "rivalry",
    "polyarchy_max",
    "polyarchy_min",
    "joint_igos",
    "distance",
    "age_min",
    "third_allies",
    "third_near",
    "hot_max",
    "common_foes",
]
A = [
    *R,
    *(
        n
        for n in rows.columns
        if n.split("_m")[0]
        in {
            "own_expansion",
            "external_share",
            "patron_share",
            "patron_withdrawal_loss",
            "commitment_balance",
            "commitments_owed_risk",
            "outside_defense",
            "outside_defense_capability",
            "outside_offense",
            "outside_neutrality",
            "outside_allies",
            "ally_in_dispute_with_opponent",
            "ally_in_dispute_elsewhere",
            "frontier_expansion",
        }
    ),
    "shared_allies",
    "mutual_expansion",
    "new_pact_5_max",
    "new_pact_5_min",
    "pact_in_dyad_defense",
    "pact_in_dyad_nonaggression",
    "pact_in_dyad_neutrality",
    "bloc_parity",
    "portfolio_similarity_S",
    "structural_balance_ally_enemy",
    "peaceful_settlement",
]


def boost(names, last=1990, drop=True, seed=0):
    X = np.column_stack([rows[n] for n in names])
    p = np.full(rows.y.size, np.nan)
    for origin in range(1960, last + 1, 5):
        train = (rows.year < origin) & (~ww | (not drop))
        test = (rows.year >= origin) & (rows.year < min(origin + 5, last + 1))
        trees = boosted_trees(seed).fit(X[train], rows.y[train])
        p[test] = trees.predict_proba(X[test])[:, 1]
    return p


if __name__ == "__main__":
    for name, names, drop in (
        ("history", H, True),
        ("+sides", S, True),
        ("+rivalry, regime, third parties", R, True),
        ("+alliances", A, True),
        ("+alliances, world wars kept", A, False),
    ):
        p = boost(names, drop=drop)
        np.save(FOLDER / f"ceiling_{name[:8]}.npy", p)
        sys.stdout.write(line("trees " + name, scores(rows, p, 1960, 1990)) + "\n")
        sys.stdout.flush()
