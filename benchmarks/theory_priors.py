"""Priors of the theory `history`: our own fit of 1816-2000, and the scales of theories' inputs.

    forecast data get                                   # official files, once
    uv run python benchmarks/theory_priors.py           # prints the scales and the priors
    uv run python benchmarks/theory_priors.py --check   # exit 1 if history.toml has others

`dyad_onset_historical` is fitted to the official sources, all pairs 1816-2000 without the world
wars, with wide priors of all alliance terms that do not differ by era or stratum: what two
centuries say of them on average. Coefficients are translated to the inputs of `dyad_onset` as
benchmarks/borrow.py does, and the s.d. is widened by 1.5 as there: conflicts of 1946-2000 are in
both records.

The first table has, for every alliance term of `dyad_onset`, the divisor of its column (1: binary;
otherwise two standard deviations) and the typical contrast: none against the median of those that
have any, in standardised units. A published difference of log-odds between with and without,
divided by that contrast, is the mean of a prior in models/theories.
"""

from __future__ import annotations

import argparse
import sys
import tomllib

import numpy as np
import pandas as pd
from borrow import WIDE, priors

import forecast as fc
from forecast.inference.fit import Fit
from forecast.modeling.design import encode
from forecast.modeling.encoding import complete
from forecast.modeling.spec import ModelSpec
from forecast.modeling.terms import ALLIANCE_FAMILIES
from forecast.paths import models_folder

LAST = 2000
WARS = (1914, 1939)


def of_alliances(spec: ModelSpec) -> list[str]:
    """Terms and products about alliances."""
    names = [t.name for t in spec.terms] + [i.name for i in spec.interactions]
    return [name for name in names if spec.family_of(name) in ALLIANCE_FAMILIES]


def pooled() -> ModelSpec:
    """`dyad_onset_historical` from 1816, its alliance terms with wide priors and one slope each."""
    spec = fc.load_model("dyad_onset_historical")
    about = of_alliances(spec)
    content = spec.to_dict() | {"name": "history_of_two_centuries", "years": [1816, LAST]}
    first = {"first": 1816, "last": 1816, "reason": "Nothing is known of the year before."}
    content["exclude"] = [first, *(e for e in content["exclude"] if e["first"] in WARS)]
    for entry in (*content["term"], *content["interaction"]):
        if entry["name"] in about:
            entry["prior"] = {"distribution": "normal", "mean": 0.0, "sd": WIDE}
    for group in content["varying"]:
        group["terms"] = [name for name in group["terms"] if name not in about]
        group["families"] = [f for f in group["families"] if f not in ALLIANCE_FAMILIES]
    content["varying"] = [
        g for g in content["varying"] if g["name"] != "slope" or g["terms"] or g["families"]
    ]
    return ModelSpec.from_dict(content)


def fitted() -> Fit:
    """`pooled` on the official sources."""
    panel = fc.load_panel(data="historical", population="all", years=(1816, LAST))
    return fc.fit(pooled(), panel, seed=1, draws=500)


def contrasts(spec: ModelSpec, rows: pd.DataFrame, encoding) -> pd.DataFrame:
    """Divisor and typical contrast of every alliance term, by term; `rows` are relevant pairs."""
    found = {}
    for code in encoding.terms:
        if code.name not in rows:
            continue
        at = code.names.index(code.name)
        values = rows[code.name].to_numpy()
        some = values[np.isfinite(values) & (values > 0)]
        shape = {"log1p": np.log1p, "positive": lambda v: float(v > 0), "identity": float}
        term = next(t for t in spec.terms if t.name == code.name)
        typical = float(np.median(some)) if some.size else np.nan
        found[code.name] = {
            "divisor": code.scale[at],
            "share_with_any": some.size / np.isfinite(values).sum(),
            "median_of_those": typical,
            "contrast": shape[term.transform](typical) / code.scale[at],
        }
    return pd.DataFrame(found).T


def main() -> int:
    """Print the scales and the priors, or compare them with the theory's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with history.toml")
    parser.add_argument("--scales", action="store_true", help="the first table only")
    options = parser.parse_args()
    spec = fc.load_model("dyad_onset")
    about = of_alliances(spec)
    panel = complete(fc.load_panel(population="all"), spec.entries)
    _, embedded = encode(spec, panel)
    relevant = panel.data["politically_relevant"].to_numpy() == 1
    rows = pd.DataFrame({t: panel.data[t].to_numpy()[relevant] for t in about if t in panel.data})
    print(contrasts(spec, rows, embedded).round(3).to_string())
    if options.scales:
        return 0
    historical = fitted()
    print(historical.diagnostics, f"{historical.encoding.rows:,} rows")
    alone = [name for name in about if not name.endswith("_far")]
    found = priors(historical, embedded, names=alone).loc[about]
    print(found.round(3).to_string())
    theory = models_folder() / "theories" / "history.toml"
    if not options.check:
        for name, row in found.iterrows():
            print(f"{name}: mean = {row['mean']}, sd = {row['sd']}")
        return 0
    content = tomllib.loads(theory.read_text(encoding="utf-8"))
    known = {entry["name"]: entry["prior"] for entry in content["term"]}
    differ = [
        str(name)
        for name, row in found.iterrows()
        # Monte Carlo error of 500 draws: a tenth of an s.d.
        if abs(known[name]["mean"] - row["mean"]) > 0.2 * row["sd"]
        or abs(known[name]["sd"] / row["sd"] - 1) > 0.15
    ]
    if differ:
        print(f"{theory} has other priors: {', '.join(differ)}", file=sys.stderr)
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
