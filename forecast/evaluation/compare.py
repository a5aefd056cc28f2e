"""`compare`: models held against each other on what they did not see, paired, with intervals.

Two kinds of not having seen. Blocks of rows (pairs of states, years) are left out of fits by
Pareto-smoothed importance sampling; later years are forecast by backtests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy.special import logsumexp

from forecast.arrays import FloatArray
from forecast.cards import Card, Carded
from forecast.draws import check_level, check_seed, check_whole
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation import score_table as st
from forecast.evaluation.backtest_result import Backtest, years_and_units
from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.checks import LOO_OVER, draws_for
from forecast.evaluation.importance import loo_from_log_likelihood
from forecast.inference.datatree import Blocks, FitRows, log_likelihood
from forecast.inference.diagnostics import khat_limit
from forecast.inference.fit import Fit
from forecast.inference.row_likelihood import posterior_draws

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDDataLOO

__all__ = ["Comparison", "compare"]

_COLUMNS = 20_000  # blocks that are left out at once


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Carded):
    """What models say of what they did not see, beside each other. Larger scores are better.

    Attributes
    ----------
    table : pandas.DataFrame
        Of the fits, best first: ``model``, ``elpd`` (sum of the log predictive densities of the
        blocks, each left out), ``se``, ``parameters`` (effective number), ``difference`` to the
        `reference` with its interval (``lower``, ``upper``), ``blocks``, and ``over_limit``, how
        many have a Pareto k over ``limit``. Empty without fits.
    backtests : pandas.DataFrame
        Of the backtests, by horizon: ``model``, ``rows``, ``events``, ``log_score`` (mean of a row;
        the negative log loss), ``difference`` to the `reference` a row with ``lower``, ``upper``,
        and ``block``, that of years and units which gives the wider interval.
    loo : dict of str to arviz ELPDDataLOO
        By model, for `arviz.compare`, `arviz.plot_khat`, `arviz.plot_compare`.
    by : str
        What was left out.
    meaning : dict of str to str
        By model, what leaving it out means.
    reference : str
        What the others are held against: the best one, unless said otherwise.
    level : float
        Probability of the intervals (percentiles of a paired block bootstrap).
    """

    table: pd.DataFrame
    backtests: pd.DataFrame
    loo: dict[str, ELPDDataLOO] = field(default_factory=dict)
    by: str = ""
    meaning: dict[str, str] = field(default_factory=dict)
    reference: str = ""
    level: float = 0.9

    def _others(self, table: pd.DataFrame) -> list[dict[Any, Any]]:
        return table[table["model"] != self.reference].to_dict("records")

    def card(self) -> Card:
        """Who is better, by how much, and how far the numbers can be trusted."""
        kept, share = f"{self.level:.0%} interval", LOO_OVER.get(self.by, LOO_OVER["unit"])
        facts = [
            (f"leaving out {self.by}s", _verdict(line, self.reference, kept, 1.0, f"{self.by}s"))
            for line in self._others(self.table)
        ] + [
            (f"backtest, {line['horizon']} ahead",
             _verdict(line, self.reference, kept, 1000.0, "rows") + " Per 1,000 rows.")
            for line in self._others(self.backtests)
        ]  # fmt: skip
        checks = []
        for line in self.table.to_dict("records"):
            over = line["over_limit"] / line["blocks"]
            checks.append((bool(over <= share),
                           f"{line['model']}: Pareto k over {line['limit']:.2f} for "
                           f"{line['over_limit']} of {line['blocks']:,} {self.by}s (at most "
                           f"{share:.1%}, or the score is not to be trusted)."))  # fmt: skip
        shown = self.table[["model", "elpd", "se", "parameters", "difference", "lower", "upper"]]
        said = " ".join(dict.fromkeys(self.meaning.values()))
        names = self.table["model"].tolist() or list(dict.fromkeys(self.backtests["model"]))
        return Card(f"Comparison of {', '.join(names)}", facts, checks,
                    shown.round(1) if len(shown) else None, said)  # fmt: skip


def _verdict(line: Mapping[Any, Any], reference: str, kept: str, times: float, of: str) -> str:
    which = "better" if line["lower"] > 0.0 else "worse" if line["upper"] < 0.0 else None
    said = f"{which} than" if which else "not told apart from"
    mean, *ends = (f"{times * line[name]:+.3g}" for name in ("difference", "lower", "upper"))
    number = line.get("rows", line["blocks"])
    return (
        f"{line['model']} is {said} {reference}: log score {mean} ({kept} {' to '.join(ends)}), "
        f"{number:,} {of}."
    )


def compare(
    models: Mapping[str, Fit] | Mapping[str, Backtest],
    *,
    by: str | npt.ArrayLike = "pair",
    backtests: Mapping[str, Backtest] | None = None,
    reference: str | None = None,
    draws: int | None = None,
    seed: int = 1,
    level: float = 0.9,
    resamples: int = 2000,
) -> Comparison:
    """Models beside each other: blocks left out, and later years where there are backtests.

    Parameters
    ----------
    models : mapping of str to Fit, or of str to Backtest
        At least two, under the names that the tables call them. Fits must be of the same rows and
        outcomes, however they were made; backtests of the same forecasts.
    by : str or array of labels
        What is left out of fits, as in `Fit.to_datatree`: ``"pair"``, ``"year"``, ``"row"`` …
    backtests : mapping of str to Backtest, optional
        Those of the fits in `models`, by the same names.
    reference : str, optional
        Whom the others are held against; by default the best.
    draws : int, optional
        Posterior draws at most, evenly spaced, taken as independent; by default up to 1,000,
        fewer of many rows.
    seed, resamples : int
        Of the bootstrap.
    level : float
        Probability of the intervals.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError, UnknownNameError
        Fewer than two models, or neither fits nor backtests; fits or backtests of other rows or
        outcomes (the message names the first that differs).

    Notes
    -----
    Leaving blocks out is importance sampling with the ratios 1 / p(y_block | θ), smoothed (Vehtari,
    Simpson, Gelman, Yao and Gabry 2024, JMLR 25:72); where each block has an effect of its own, as
    pairs have, it is integrated out (Merkle, Furr and Rabe-Hesketh 2019, Psychometrika 84:802).
    Differences are of sums over blocks; their intervals resample the blocks (of rows: years and
    units, the wider), so that nothing is taken as normal. Differences of a few units of the log
    score say little whatever their interval (Sivula, Magnusson, Matamoros and Vehtari 2025,
    arXiv:2008.10296).
    """
    check_seed(seed)
    check_level(level)
    check_whole("resamples", resamples, 100, 10**6)
    fits, tested = _sorted_out(models, backtests)
    names = list(models)
    if reference is not None and reference not in names:
        raise UnknownNameError("reference", reference, names)
    rows = {name: FitRows(fit, by) for name, fit in fits.items()}
    if rows:
        _refuse_others(fits, rows)
    loo, meaning = {}, {}
    for name, fit in fits.items():
        loo[name], meaning[name] = _left_out(fit, rows[name], draws)
    later = _forecasts(tested) if tested else pd.DataFrame()
    scores = _log_scores(later) if tested else pd.DataFrame({"model": []})
    if reference is None:
        means = {n: found.elpd for n, found in loo.items()} or dict(
            scores.groupby("model")["log_score"].mean()
        )
        reference = max(means, key=means.__getitem__)
    options = {"seed": seed, "level": level, "resamples": resamples}
    first = next(iter(rows.values())).blocks if rows else None
    return Comparison(
        _loo_table(loo, rows, reference, options),
        _backtest_table(later, scores, names, reference, options) if tested else scores,
        loo,
        first.name if first else "",
        meaning,
        reference,
        level,
    )


def _sorted_out(models: object, backtests: object) -> tuple[dict[str, Fit], dict[str, Backtest]]:
    """Fits and backtests by name, each of a kind and at least two."""
    found: list[dict[str, Any]] = []
    for what, given, kinds in (("models", models, (Fit, Backtest)),
                               ("backtests", backtests or {}, (Backtest,))):  # fmt: skip
        if not isinstance(given, Mapping):
            raise ArgumentError(
                f"compare: {what} is a {type(given).__name__}, expected a mapping of names: "
                '{"a": fit_a, "b": fit_b}.'
            )
        for name, value in given.items():
            if not isinstance(value, kinds):
                words = " or ".join(kind.__name__ for kind in kinds)
                raise ArgumentError(
                    f"compare: {name!r} is a {type(value).__name__}, expected a {words}."
                )
        found.append({str(name): value for name, value in given.items()})
    fits = {n: v for n, v in found[0].items() if isinstance(v, Fit)}
    tested = {n: v for n, v in found[0].items() if isinstance(v, Backtest)}
    if len(found[0]) < 2 or (fits and tested):
        raise ArgumentError(
            f"compare: found {len(fits)} fits and {len(tested)} backtests, expected at least two "
            "of one kind (those of fits go into backtests=…)."
        )
    if found[1] and ([*found[1]] != [*fits] and {*found[1]} != {*fits}):
        raise ArgumentError(
            f"compare: backtests are of {', '.join(found[1])}, expected those of {', '.join(fits)}."
        )
    return fits, tested or found[1]


def _refuse_others(fits: Mapping[str, Fit], rows: Mapping[str, FitRows]) -> None:
    """Refuse fits whose rows or outcomes are not those of the first."""
    (a, first), *others = rows.items()
    frame = _keyed(first)
    for b, other in others:
        what = [fits[name].spec.outcome for name in (a, b)]
        if what[0] != what[1]:
            raise ArgumentError(
                f"compare: {a!r} is of outcome {what[0]!r}, {b!r} of {what[1]!r}; scores of "
                "different outcomes cannot be compared."
            )
        found = _keyed(other)
        if frame.index.equals(found.index):
            differs = (frame != found).to_numpy()
            if not differs.any():
                continue
            raise ArgumentError(
                f"compare: the outcomes of {a!r} and {b!r} differ in {int(differs.sum()):,} of "
                f"{len(frame):,} rows, first in "
                f"{_named(frame.index[differs][0], frame.index.names)}."
            )
        alone = [frame.index.difference(found.index), found.index.difference(frame.index)]
        where = next((f"{_named(one[0], one.names)} is only in {name!r}"
                      for one, name in zip(alone, (a, b), strict=True) if len(one)),
                     "they are in another order")  # fmt: skip
        raise ArgumentError(
            f"compare: {a!r} has {len(frame):,} rows, {b!r} {len(found):,}, and they are not the "
            f"same: {where}. Fit both on the same rows; a term with missing='drop' leaves rows out "
            "where 'indicator' keeps them."
        )


def _named(key: Any, names: Iterable[Any]) -> str:
    """A row as a message names it."""
    return ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True))


def _keyed(rows: FitRows) -> pd.Series:
    """Outcomes by what names a row."""
    keys = {str(n): c.to_numpy() for n, c in rows.design.rows.coords.items() if c.dims == ("row",)}
    return pd.Series(rows.design.y, index=pd.MultiIndex.from_frame(pd.DataFrame(keys)))


def _left_out(fit: Fit, rows: FitRows, draws: int | None) -> tuple[ELPDDataLOO, str]:
    """Scores of every block left out, as ArviZ has them, and what that means."""
    from arviz_stats.utils import ELPDDataLOO

    design, blocks = rows.design, rows.blocks
    posterior = posterior_draws(fit, design, draws=draws or draws_for(design.y.size))
    values, about = log_likelihood(design, posterior, blocks)
    elpd, khat, within = (np.empty(blocks.size) for _ in range(3))
    for start in range(0, blocks.size, _COLUMNS):
        part = slice(start, start + _COLUMNS)
        elpd[part], khat[part] = loo_from_log_likelihood(values[:, part])
        within[part] = logsumexp(values[:, part].astype(np.float64), axis=0)
    limit, n = khat_limit(posterior.draws), blocks.size
    labels = xr.Dataset(coords=blocks.coords).coords
    within -= np.log(posterior.draws)
    return ELPDDataLOO(
        elpd=float(elpd.sum()),
        se=float(np.sqrt(n * elpd.var(ddof=1))),
        p=float((within - elpd).sum()),
        n_samples=posterior.draws,
        n_data_points=n,
        scale="log",
        warning=bool((khat > limit).any()),
        good_k=limit,
        elpd_i=xr.DataArray(elpd, labels, dims=blocks.name, name="outcome"),
        pareto_k=xr.DataArray(khat, labels, dims=blocks.name, name="outcome"),
    ), about["meaning"]


def _loo_table(
    loo: Mapping[str, ELPDDataLOO],
    rows: Mapping[str, FitRows],
    reference: str,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    columns = ["model", "elpd", "se", "parameters", "difference", "lower", "upper", "block",
               "blocks", "over_limit", "limit", "draws", "interval", "level"]  # fmt: skip
    lines = []
    for name, found in loo.items():
        line = {"model": name, "elpd": found.elpd, "se": found.se, "parameters": found.p,
                "difference": 0.0, "lower": 0.0, "upper": 0.0, "block": "", "interval": "",
                "blocks": found.n_data_points, "limit": found.good_k, "draws": found.n_samples,
                "over_limit": int((found.pareto_k > found.good_k).sum()),
                "level": options["level"]}  # fmt: skip
        if name != reference:
            values: list[FloatArray] = [loo[n].elpd_i.to_numpy() for n in (name, reference)]
            made = paired_difference(*values, blocks=_together(rows[name].blocks), **options)
            n = found.n_data_points
            line |= {"difference": n * made.mean, "lower": n * made.lower, "upper": n * made.upper,
                     "block": made.block, "interval": made.kind}  # fmt: skip
        lines.append(line)
    table = pd.DataFrame(lines, columns=columns)
    return table.sort_values("elpd", ascending=False, ignore_index=True)


def _together(blocks: Blocks) -> dict[str, npt.ArrayLike]:
    """What is resampled whole: of rows their years and units, else the blocks."""
    if not blocks.single:
        return {blocks.name: np.arange(blocks.size)}
    rows = xr.Dataset(coords=blocks.coords)
    frame = pd.DataFrame({n: rows[n].to_numpy() for n in ("year", *st.KEYS) if n in rows})
    found = years_and_units(frame, np.ones(len(frame), dtype=bool))
    return found or {"year": frame["year"].to_numpy()}


def _forecasts(tested: Mapping[str, Backtest]) -> pd.DataFrame:
    """Forecasts of the model under test of every backtest, row beside row."""
    parts: list[pd.DataFrame] = []
    for name, result in tested.items():
        rows = result.forecasts[result.forecasts["model"] == result.model]
        keys = [n for n in ("horizon", "origin", "year", *st.KEYS, "conflict_id") if n in rows]
        parts.append(rows.assign(model=name).sort_values(keys, ignore_index=True))
        if name == next(iter(tested)):
            first, same = parts[0], [*keys, "outcome"]
        elif len(first) != len(rows) or not first[same].equals(parts[-1].reindex(columns=same)):
            raise ArgumentError(
                f"compare: the backtests of {next(iter(tested))!r} and {name!r} are not of the "
                f"same forecasts ({len(first):,} and {len(rows):,} rows by {', '.join(same)}): "
                "make them with the same years, horizon and panel."
            )
    return pd.concat(parts, ignore_index=True)


def _log_scores(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Log score of each model and horizon, of the rows that they share."""
    table = st.score_table(forecasts, by=(), scores=(st.proper,))
    return table[table["score"] == "log_loss"].assign(log_score=lambda t: -t["estimate"])


def _backtest_table(
    forecasts: pd.DataFrame,
    scores: pd.DataFrame,
    names: list[str],
    reference: str,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    made = st.difference_table(
        forecasts, [(name, reference) for name in names if name != reference], by=(),
        bootstrap=st.Bootstrap(options["seed"], options["resamples"], years_and_units),
        level=options["level"],
    )  # fmt: skip
    # a smaller loss is a larger score
    turned = made.assign(difference=-made["estimate"], lower=-made["upper"], upper=-made["lower"])
    kept = ["difference", "lower", "upper", "block", "blocks", "interval", "level"]
    joined = scores[["horizon", "model", "rows", "events", "log_score"]].merge(
        turned[["horizon", "model", *kept]], on=["horizon", "model"], how="left"
    )
    own = joined["model"] == reference
    joined.loc[own, ["difference", "lower", "upper"]] = 0.0
    return joined.sort_values(["horizon", "log_score"], ascending=[True, False], ignore_index=True)
