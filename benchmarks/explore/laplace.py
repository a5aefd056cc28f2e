"""The chosen specification with the real inference: backtest with refits every five years.

    python benchmarks/explore/laplace.py MODEL.toml OUT.npz FIRST LAST [without]

``without`` leaves the alliance block out. Reads through ``fc.load_panel(data="historical")``.
"""

import sys
import time

import numpy as np
from rows import CONFIRMATION, SELECTION, line, scores

import forecast as fc
from forecast.evaluation.forecasters import ModelForecaster
from forecast.features import FeatureRequest, compute_features
from forecast.modeling.spec import load_model


class Judged:
    """What `rows.scores` reads, of a panel."""

    def __init__(self, panel) -> None:
        self.year = panel.data["year"].to_numpy()
        self.y = panel.data["outcome"].to_numpy()
        self.peace = panel.data["baseline_peace"].to_numpy()

    def __getitem__(self, name: str) -> np.ndarray:
        return self.peace


def main(model: str, out: str, first: int, last: int, without: bool) -> None:
    """Fit at every fifth year and forecast the five after it."""
    spec = load_model(model)
    if without:
        spec = spec.without()
    forecaster = ModelForecaster(spec, draws=300)
    panel = fc.load_panel(
        data="historical",
        unit="dyad-year",
        population="politically_relevant",
        outcome="onset",
        years=(1816, 2000),
    )
    panel = compute_features(
        panel, [*forecaster.columns(), FeatureRequest("baseline_peace", "peace_years")]
    )
    year = panel.data["year"].to_numpy()
    p = np.full(year.size, np.nan)
    previous = None
    for origin in range(first, last + 1, 5):
        began = time.perf_counter()
        fitted = forecaster.fit(panel.select_years(1816, origin - 1), seed=1, previous=previous)
        previous = fitted.warm_start()
        until = min(origin + 4, last)
        draws = fitted.predict(panel.select_years(origin, until), seed=2)
        here = (year >= origin) & (year <= until)
        p[here] = draws.mean(axis=0)
        post = fitted.posterior.posterior["posterior"]
        scales = {
            k: round(float(v.mean()), 3)
            for k, v in post.data_vars.items()
            if "sigma" in k or "scale" in k
        }
        sys.stdout.write(
            f"{origin}: {time.perf_counter() - began:.0f}s {fitted.record()} {scales}\n"
        )
        sys.stdout.flush()
        if origin + 5 > last:
            beta = post["beta"].mean(("chain", "draw")).to_series()
            sd = post["beta"].std(("chain", "draw")).to_series()
            for n in beta.index:
                sys.stdout.write(f"  {n:<32} {beta[n]:+.2f} ({sd[n]:.2f})\n")
    np.savez(out, p=p)
    rows = Judged(panel)
    name = spec.name + (" without alliances" if without else "")
    for a, b in ((first, last), SELECTION, CONFIRMATION):
        if a >= first and b <= last:
            sys.stdout.write(line(f"{name} {a}-{b}", scores(rows, p, a, b)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), "without" in sys.argv)
