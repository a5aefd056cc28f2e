"""Out-of-sample scores of the theories: `dyad_onset` under each, refitted on the embedded data.

    uv run python benchmarks/theories.py --folder FOLDER    # fills models/theories/scores.json
    uv run python benchmarks/theories.py --check            # exit 1 if of other specifications

Origins 2005-2025, refitted every third year on all earlier years, all pairs one year ahead; the
model under its own priors and under every theory on identical rows. The score is the sum of log
probabilities of what happened (in the units of a log marginal likelihood); a difference is paired
by row, with the wider of a bootstrap by year and one by pair. With --folder an interrupted run
goes on where it stopped. The theory `history` has seen conflicts until 2000, none of these years.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import forecast as fc
from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.scores import log_loss_rows
from forecast.modeling.theory import TheoryScore, score_of, scores_file, theories, write_scores
from forecast.run import panel_options

SEED = 20261130
MODEL = "dyad_onset"
FIRST, LAST, REFIT = 2005, 2025, 3
KEYS = ["year", "ccode_a", "ccode_b"]


def scored(folder: str | None, draws: int) -> list[TheoryScore]:
    """The model's own priors and every theory, on identical rows."""
    spec = fc.load_model(MODEL)
    rivals = {name: spec.under(name) for name in theories()}
    panel = fc.load_panel(**panel_options(spec))
    found = fc.backtest(
        fc.BacktestPlan(
            model=spec,
            origins=range(FIRST, LAST + 1),
            refit=REFIT,
            draws=draws,
            seed=SEED,
            baselines=list(rivals.values()),
            resamples=100,
        ),
        panel,
        out=folder,
    ).forecasts
    wide = found.pivot_table(index=KEYS, columns="model", values="probability", observed=True)
    y = found.drop_duplicates(KEYS).set_index(KEYS)["outcome"].reindex(wide.index).to_numpy()
    specs = {"": spec, **rivals}
    loss = {name: log_loss_rows(y, wide[s.name].to_numpy()) for name, s in specs.items()}
    best = min(loss, key=lambda name: loss[name].sum())
    year = wide.index.get_level_values("year").to_numpy()
    pair = (
        wide.index.get_level_values("ccode_a").to_numpy() * 1000
        + wide.index.get_level_values("ccode_b").to_numpy()
    )
    out = []
    for name, s in specs.items():
        expected = float(wide[s.name].sum())
        behind = (0.0, 0.0, 0.0)
        if name != best:
            d = paired_difference(
                loss[best], loss[name], blocks={"year": year, "pair": pair}, seed=SEED
            )
            behind = (d.mean * y.size, d.lower * y.size, d.upper * y.size)
        out.append(
            TheoryScore(
                model=MODEL,
                theory=name,
                specification=s.sha256,
                data=panel.fingerprint,
                first_year=FIRST,
                last_year=LAST,
                refit=REFIT,
                draws=draws,
                seed=SEED,
                rows=int(y.size),
                events=int(y.sum()),
                expected=round(expected, 1),
                log_score=round(-float(np.sum(loss[name])), 2),
                best=best,
                behind=round(behind[0], 2),
                behind_lower=round(behind[1], 2),
                behind_upper=round(behind[2], 2),
                level=0.9,
            )
        )
    return out


def main() -> int:
    """Fill the file of scores, or compare its specifications with the shipped ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", help="keeps finished parts of the backtest")
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        spec = fc.load_model(MODEL)
        missing = [n for n in theories() if score_of(spec.under(n)) is None]
        if missing:
            print(f"{scores_file()} has no score of: {', '.join(missing)}", file=sys.stderr)
        return int(bool(missing))
    found = scored(options.folder, options.draws)
    for score in found:
        print(
            f"{score.theory or 'own priors':12} {score.log_score:10.2f}"
            f"  behind {score.best or 'own'} {score.behind:+.2f}"
            f" ({score.behind_lower:+.2f}, {score.behind_upper:+.2f})"
            f"  expected {score.expected} of {score.events} in {score.rows:,} rows"
        )
    write_scores(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
