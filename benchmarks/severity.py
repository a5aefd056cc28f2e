"""How bad a dispute becomes, given that it begins: the ladder against shares, out of sample.

    uv run python benchmarks/severity.py [DATA FIRST LAST]

For each year every candidate learns from the years before it and says of each onset of a pair how
far it goes. Scores: log loss of each level, expected and observed counts, and the ranked
probability score (the sum of the Brier scores of the three levels). Differences are to the share of
the last ten years, with 90% intervals from a bootstrap of years. Candidates beside the model:
shares of the last ten and fifty years, and the model fitted to each level by itself.
1975-2004 of the embedded data and 1960-2000 of GML chose the terms; 2005-2025 chose nothing.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from forecast.inference.fit import fit
from forecast.inference.predict import predict
from forecast.modeling.spec import ModelSpec, load_model
from forecast.simulation.severity import levels_reached, recent_log_odds, severity_panel
from forecast.sources.datasets import read_tables

DRAWS = 400
SPEC = load_model("severity")
ALONE = ModelSpec.from_dict(
    SPEC.to_dict()
    | {
        "name": "severity_alone",
        "term": [t for t in SPEC.to_dict()["term"] if not t["name"].startswith("beyond")],
        "varying": [v for v in SPEC.to_dict()["varying"] if v["name"] != "slope"],
    }
)
SAME = ModelSpec.from_dict(
    SPEC.to_dict() | {"name": "same", "varying": SPEC.to_dict()["varying"][:1]}
)
DRIFT = SPEC.without_terms(["recent_log_odds"], suffix="drift")
DYAD = {"name": "dyad", "scale": {"sd": 0.25}, "reason": "candidate"}
WITH_PAIRS = ModelSpec.from_dict(
    SPEC.to_dict() | {"name": "pairs", "varying": [*SPEC.to_dict()["varying"], DYAD]}
)
DISPUTE = ModelSpec.from_dict(
    SPEC.to_dict()
    | {
        "name": "disputes",
        "varying": [
            *SPEC.to_dict()["varying"],
            {"name": "dispute", "scale": {"sd": 1.0}, "reason": "candidate"},
        ],
    }
)
MODELS = {
    "model": SPEC,
    "with effects of pairs": WITH_PAIRS,
    "with effects of disputes": DISPUTE,
    "same slopes at all levels": SAME,
    "without trailing share": DRIFT,
}
ABOUT = ("year", "level", "outcome")
LEVELS = ("fatal", "deaths_25", "deaths_1000")


def main(data: str = "embedded", first: int = 2005, last: int = 2025) -> None:
    tables = read_tables(data)
    end = tables.coverage["conflicts"].last
    whole = severity_panel(tables, last=end).data
    number = whole["level"].to_numpy()
    year = whole["year"].to_numpy()
    keys = pd.DataFrame({n: whole[n].to_numpy() for n in ("year", "ccode_a", "ccode_b")})
    parts = []
    for origin in range(first, last + 1):
        known = severity_panel(tables, last=origin - 1)
        new = np.flatnonzero((year == origin) & (number == 0))
        if not new.size:
            continue
        rows = whole.isel(row=np.repeat(new, 3)).drop_vars(["outcome", "joined"])
        step = np.tile(np.arange(3), new.size)
        recent = recent_log_odds(*(known.data[n].to_numpy() for n in ABOUT), before=origin)
        for name, values in (
            ("beyond_fatal", (step >= 1) * 1.0),
            ("beyond_25", (step >= 2) * 1.0),
            ("recent_log_odds", recent[step]),
        ):
            rows[name] = ("row", values)
        # Nobody knows which pairs a dispute of the year will hold: each is one of its own.
        own = [
            f"new {a} {b}"
            for a, b in zip(rows["ccode_a"].values, rows["ccode_b"].values, strict=True)
        ]
        rows = rows.assign_coords(conflict_id=("row", np.array(own)))
        outcome = known.data["outcome"].to_numpy()
        before = known.data["level"].to_numpy()
        when = known.data["year"].to_numpy()
        told: dict[str, np.ndarray] = {}
        for span in (10, 50):
            shares = []
            for at in range(3):
                here = (before == at) & (when >= origin - span) & np.isfinite(outcome)
                shares.append((outcome[here].sum() + 0.5) / (here.sum() + 1))
            told[f"share of {span} years"] = np.tile(np.cumprod(shares), (new.size, 1))
        for name, spec in MODELS.items():
            steps = predict(fit(spec, known, seed=1, draws=DRAWS), rows).to_numpy()
            told[name] = np.cumprod(steps.reshape(DRAWS, new.size, 3), axis=2).mean(axis=0)
        alone = []
        for at in range(3):
            own = known.with_data(known.data.isel(row=before == at))
            target = rows.isel(row=step == at)
            alone.append(predict(fit(ALONE, own, seed=1, draws=DRAWS), target).to_numpy())
        told["each level alone"] = np.cumprod(np.stack(alone), axis=0).mean(axis=1).T
        for name, p in told.items():
            parts.append(keys.iloc[new].assign(model=name, **dict(zip(LEVELS, p.T, strict=True))))
    found = pd.concat(parts)
    observed = levels_reached(tables, last=end).add_prefix("is_").reset_index()
    _print(found, observed)


def _print(found: pd.DataFrame, observed: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    rows = found.merge(observed, on=["year", "ccode_a", "ccode_b"])
    reference = "share of 10 years"
    losses = {level: _loss(rows, level) for level in LEVELS}
    brier = sum((rows[level] - rows[f"is_{level}"]) ** 2 for level in LEVELS)
    losses["ranked"] = rows.assign(loss=brier)
    for level, table in losses.items():
        table = table[table["loss"].notna()]
        wide = table.pivot_table(
            index=["year", "ccode_a", "ccode_b"], columns="model", values="loss"
        )
        print(f"\n{level}: {len(wide)} onsets of pairs")
        for name in wide:
            low, high = _interval(wide[name] - wide[reference], rng)
            line = f"  {name:26} {wide[name].mean():.4f}  ({low:+.4f}, {high:+.4f})"
            if level in LEVELS:
                mine = table[table["model"] == name]
                expected, seen = mine[level].sum(), int(mine[f"is_{level}"].sum())
                line += f"  expected {expected:.0f}, observed {seen}"
            print(line)


def _loss(rows: pd.DataFrame, level: str) -> pd.DataFrame:
    y, p = rows[f"is_{level}"], rows[level].clip(1e-9, 1 - 1e-9)
    return rows.assign(loss=-(y * np.log(p) + (1 - y) * np.log1p(-p)))


def _interval(difference: pd.Series, rng: np.random.Generator) -> tuple[float, float]:
    """90% interval of a mean difference from a bootstrap of years."""
    years = difference.groupby(level="year").agg(["sum", "count"])
    drawn = rng.integers(0, len(years), size=(2000, len(years)))
    total, count = (years[c].to_numpy()[drawn].sum(axis=1) for c in ("sum", "count"))
    low, high = np.quantile(total / count, [0.05, 0.95])
    return float(low), float(high)


if __name__ == "__main__":
    main(*(a if i == 0 else int(a) for i, a in enumerate(sys.argv[1:])))  # type: ignore[arg-type]
