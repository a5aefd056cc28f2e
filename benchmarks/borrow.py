"""Priors of `dyad_onset` that come from two centuries of official data, and how they are made.

    forecast data get                                  # official files, once
    uv run python benchmarks/borrow.py                 # prints the table and the priors
    uv run python benchmarks/borrow.py --check         # exit 1 if models/dyad_onset.toml has others

The specification of `dyad_onset` is fitted to the official sources (all pairs, 1900-2000 without
the world wars) with wide priors of pacts and of disputes along alliances. A coefficient belongs to
a standardised input, so it is translated: b_embedded = b_historical * s_embedded / s_historical,
where s is one for a binary input and two standard deviations for any other; products take the
factor of the first input (the second, `far`, is binary). The s.d. is widened by 1.5: conflicts
from 1946 on are in both records, and counting them twice would be overconfident.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterable
from typing import Any

import pandas as pd

import forecast as fc
from forecast.inference.fit import Fit
from forecast.modeling.design import encode
from forecast.modeling.encoding import Encoding
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel
from forecast.paths import models_folder

WIDEN = 1.5
WIDE = 1.0
BORROWED = (
    "defense_pact", "nonaggression_pact", "ally_in_dispute_max", "ally_in_dispute_min",
    "ally_in_dispute_elsewhere", "disputes_with_allies",
)  # fmt: skip
WARS = ((1914, 1918), (1939, 1945))


def shipped() -> dict[str, Any]:
    """The file of the model as plain data."""
    return tomllib.loads((models_folder() / "dyad_onset.toml").read_text(encoding="utf-8"))


def names() -> list[str]:
    """Terms and products whose priors are borrowed."""
    return [*BORROWED, *(f"{name}_far" for name in BORROWED)]


def agnostic(last: int) -> ModelSpec:
    """`dyad_onset` for the official sources: wide priors, pooled over eras."""
    content = shipped()
    content["name"] = "dyad_onset_borrowed"
    content["years"] = [1900, last]
    content["exclude"] = [
        {"first": a, "last": b, "reason": "World war: most onsets are states that join it."}
        for a, b in WARS
    ]
    for entry in (*content["term"], *content["interaction"]):
        if entry["name"] in names():
            entry["prior"] = {"distribution": "normal", "mean": 0.0, "sd": WIDE}
    content["varying"] = [v for v in content["varying"] if v["name"] != "slope" or "by" in v]
    content.pop("era", None)
    return ModelSpec.from_dict(content)


def column(encoding: Encoding, name: str) -> tuple[float, float]:
    """Center and scale of the standardised column of a term."""
    code = next(code for code in encoding.terms if code.name == name)
    at = code.names.index(name)
    return code.center[at], code.scale[at]


def priors(historical: Fit, embedded: Encoding, names: Iterable[str] = BORROWED) -> pd.DataFrame:
    """Posterior on the official sources and the prior that is made of it, by term.

    A term with a product with `far` is followed by it.
    """
    beta = historical.posterior["posterior"]["beta"]
    (dim,) = (str(d) for d in beta.dims if d not in ("chain", "draw"))
    flat = beta.transpose(dim, "chain", "draw").to_numpy()
    draws = pd.DataFrame(flat.reshape(len(flat), -1), index=beta[dim].to_numpy())
    theirs = historical.encoding
    moved = column(embedded, "far")[0] - column(theirs, "far")[0]
    rows = []
    for name in names:
        factor = column(embedded, name)[1] / column(theirs, name)[1]
        values = {name: draws.loc[name]}
        if (product := f"{name}_far") in draws.index:
            # The product is centred at another share of distant pairs.
            values = {name: draws.loc[name] + moved * draws.loc[product]}
            values[product] = draws.loc[product]
        for label, value in values.items():
            rows.append(
                {
                    dim: label,
                    "historical": draws.loc[label].mean(),
                    "historical_sd": draws.loc[label].std(),
                    "factor": factor,
                    "mean": round(float(value.mean() * factor), 2),
                    "sd": round(float(value.std() * factor * WIDEN), 2),
                }
            )
    return pd.DataFrame(rows).set_index(dim)


def fitted(last: int) -> Fit:
    """`agnostic` on the official sources up to a year."""
    panel = fc.load_panel(data="historical", population="all", years=(1900, last))
    return fc.fit(agnostic(last), panel, seed=1, draws=500)


def borrowed(spec: ModelSpec, last: int, panel: Panel) -> ModelSpec:
    """A specification with the priors that official data up to `last` give."""
    found = priors(fitted(last), encode(spec, panel)[1])
    content = spec.to_dict()
    for entry in (*content["term"], *content["interaction"]):
        if entry["name"] in found.index:
            row = found.loc[entry["name"]]
            entry["prior"] |= {"mean": float(row["mean"]), "sd": float(row["sd"])}
    content["name"] = f"{spec.name}_{last}"
    return ModelSpec.from_dict(content)


def main() -> int:
    """Print the priors, or compare them with the model's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--last", type=int, default=2000, help="last year of the record used")
    parser.add_argument("--check", action="store_true", help="compare with models/dyad_onset.toml")
    options = parser.parse_args()
    historical = fitted(options.last)
    print(historical.diagnostics, f"{historical.encoding.rows:,} rows")
    _, embedded = encode(fc.load_model("dyad_onset"), fc.load_panel(population="all"))
    found = priors(historical, embedded)
    print(found.round(3).to_string())
    print()
    content = shipped()
    entries = {e["name"]: e["prior"] for e in (*content["term"], *content["interaction"])}
    differ = []
    for name, row in found.iterrows():
        print(f'{name}: {{ distribution = "normal", mean = {row["mean"]}, sd = {row["sd"]} }}')
        prior = entries[str(name)]
        # Monte Carlo error of 500 draws: a tenth of an s.d.
        if (
            abs(prior["mean"] - row["mean"]) > 0.2 * row["sd"]
            or abs(prior["sd"] / row["sd"] - 1) > 0.15
        ):
            differ.append(str(name))
    if options.check and differ:
        print(f"models/dyad_onset.toml has other priors: {', '.join(differ)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
