"""`effects`: what a change of a feature goes with on the scale of probabilities, from draws."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from forecast.arrays import FloatArray, IntArray
from forecast.cards import Card, Carded
from forecast.draws import check_level, check_seed, check_whole, generator, named_estimates
from forecast.errors import ArgumentError, wrong_type
from forecast.evaluation.effect_profiles import Groups, Move, columns_of, grouped, moves_of, profile
from forecast.inference.fit import Fit, as_fit
from forecast.inference.predict import predict
from forecast.modeling.design import fitted_rows
from forecast.modeling.encoding import chosen_rows, complete, usable_rows
from forecast.panel.types import Panel
from forecast.text import percent, points, points_interval, term_words

__all__ = ["CAUTION", "Effects", "effects"]

CAUTION = (
    "A predictive comparison: rows that differ in this and in nothing else that the model holds. "
    "It is the effect of a change only if nothing left out moves both; `forecast.simulate` "
    "changes the alliances themselves, and every feature with them."
)
#: Rows over which probabilities are averaged; of more, so many are drawn.
_ROWS = 20_000
_ENCODED = 40_000  # rows × values that are encoded at once: 80 MB at 500 draws
_PILOT = 4  # draws behind the chances of rows to be drawn


@dataclass(frozen=True, eq=False, repr=False)
class Effects(Carded):
    """Average predictive comparisons and curves of a fit.

    Attributes
    ----------
    table : pandas.DataFrame
        A row for each comparison and group of rows: ``term``, ``label`` and ``contrast`` in words,
        ``low`` and ``high`` (values; missing for two profiles), ``group`` and ``group_label``;
        the average ``probability_low`` and ``probability_high``; their ``difference`` with
        ``lower`` and ``upper``; ``ratio`` with ``ratio_lower`` and ``ratio_upper``; ``positive``,
        the posterior probability of a difference above zero; ``rows``, and ``missing``, rows of
        the group in which the term has no value, which are left out; ``interval`` and ``level``.
    curves : pandas.DataFrame
        ``term``, ``label``, ``value``, ``group``, ``group_label``, average ``probability`` with
        ``lower`` and ``upper``, ``rows``, ``interval``, ``level``; without rows for two profiles.
    draws : xarray.DataArray, dims (comparison, group, end, draw)
        The averages behind the table, draw by draw (``end``: ``"low"``, ``"high"``), so that
        any other difference of them is paired too.
    model : str
    outcome : str
        What the probability is of.
    by : str or None
    rows, sampled : int
        Rows that were averaged over, and how many of them were drawn to do so.
    level : float
    caution : str
        What the numbers are not.
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    draws: xr.DataArray
    model: str
    outcome: str
    by: str | None
    rows: int
    sampled: int
    level: float
    caution: str = CAUTION

    def _short(self, row: Mapping[Hashable, str]) -> str:
        """A group in few words: an era without its years."""
        return row["group"].replace("_", " ") if self.by == "era" else row["group_label"]

    def card(self) -> Card:
        """The comparisons as they are told: probabilities, their difference and ratio."""
        drawn = "" if self.sampled == self.rows else f", of which {self.sampled:,} were drawn"
        pairs = self.table[["label", "contrast"]].drop_duplicates().itertuples(index=False)
        missing = int(self.table.groupby("label", sort=False)["missing"].sum().max())
        unknown = f"; {missing:,} in which it is missing are left out" if missing else ""
        several = len(set(self.table["label"])) > 1 or not self.by
        told = pd.DataFrame(
            {
                **({"term": r["label"]} if several else {}),
                **({"of": self._short(r)} if self.by else {}),
                "probability": f"{percent(r['probability_low'])} → "
                f"{percent(r['probability_high'])}",
                "points": f"{points(r['difference'], unit=False)} "
                f"({points_interval(r['lower'], r['upper'])})",
                "ratio": f"{r['ratio']:.2f} ({r['ratio_lower']:.2f}–{r['ratio_upper']:.2f})",
            }
            for r in self.table.to_dict("records")
        )
        title = f"Effects of {self.model} on the probability of {self.outcome}"
        facts = [
            ("compared", "; ".join(f"{label} {contrast}" for label, contrast in pairs)),
            ("averaged over", f"{self.rows:,} rows, all else as observed{drawn}{unknown}"),
            ("intervals", f"{self.level:.0%} equal-tailed, of differences paired by draw"),
        ]
        return Card(title, facts, table=told, note=self.caution)


def effects(
    fit: Fit,
    name: str | None = None,
    *,
    contrast: Sequence[float] | Sequence[Mapping[str, float]] | None = None,
    values: Sequence[float] | None = None,
    at: Mapping[str, float] | None = None,
    by: str | None = None,
    rows: Panel | None = None,
    draws: int = 500,
    seed: int | None = None,
    level: float = 0.9,
) -> Effects:
    """What a change of a feature goes with, on the scale of probabilities.

    Every row is predicted with the feature at one value and at another, all else as it was
    observed, and the probabilities are averaged over the rows, in each posterior draw. What the
    feature is part of moves with it: splines, interactions, slopes by era or stratum.

    Parameters
    ----------
    fit : Fit
        Posterior.
    name : str, optional
        Term of the model, or registered feature: then every term that is made of it, one after the
        other. Terms of the same column move together. Without it `contrast` has two profiles.
    contrast : pair of float or pair of mapping, optional
        Two values of the feature, low and high; by default 0 and 1 of what is 0 or 1, and half a
        standard deviation below and above the mean of all else, within what was observed. Or two
        profiles, without `name`: ``({"defense_pact": 0, "peace_years": 2}, {"defense_pact": 1,
        "peace_years": 20})``.
    values : sequence of float, optional
        Values of the curve (the first and the last are the contrast unless one is given); by
        default over the range of 99% of the rows.
    at : mapping of str to float, optional
        Terms that are held at a value in all rows, instead of as observed.
    by : str, optional
        Groups of rows to average over: ``"era"`` of the model, ``"decade"``, ``"stratum"`` (what is
        on record between the pair), or a term or column of few values.
    rows : Panel, optional
        Rows to average over; by default those of the fit.
    draws : int
        Posterior draws, evenly spaced, at most those of the fit.
    seed : int, optional
        Seed of the drawing of rows, and of new levels; that of the fit by default.
    level : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    Effects

    Raises
    ------
    ArgumentError, UnknownNameError
        A term that the model does not have, or that was left out of the fit; values that the
        feature cannot have; groups that the rows do not have.

    Notes
    -----
    Average predictive comparisons with fixed ends (A. Gelman and I. Pardoe, "Average predictive
    comparisons for models with nonlinearity, interactions, and variance components",
    *Sociological Methodology* 37 (2007), 23-51). Rows in which the feature is missing are left
    out and counted: what is not known is not zero.

    Of more than 20,000 rows so many are drawn, as many from each group, with chances in proportion
    to their probability plus its mean, and weighted by the inverse (Horvitz and Thompson 1952):
    the few rows with nearly all of the risk are nearly all there.
    """
    fit = as_fit(fit, "effects(fit, name)")
    check_level(level)
    check_whole("draws", draws, 1, 1_000_000)
    seed = fit.seed if seed is None else seed
    check_seed(seed)
    if name is not None:
        columns_of(fit, name)  # before the work
    panel = _rows(fit, rows)
    moves = moves_of(fit, panel.data, name, contrast, values)
    held = profile(fit, at or {}, "at")
    for term in (term for move in moves for term in move.terms if term in held):
        raise ArgumentError(f"at: {term!r} is compared at two values, and cannot be held at one.")
    groups = grouped(fit, panel, by)
    draws = min(draws, fit.draws)
    chosen, chance = _drawn(fit, panel, groups, seed)
    found = [
        _averages(fit, panel, move, held, groups, (chosen, chance), (draws, seed)) for move in moves
    ]
    tables = [_tables(*each, groups, level) for each in zip(moves, found, strict=True)]
    return Effects(
        table=pd.concat([table for table, _ in tables], ignore_index=True),
        curves=pd.concat([curve for _, curve in tables], ignore_index=True),
        draws=xr.DataArray(
            np.stack([average[:2].transpose(1, 0, 2) for average, *_ in found]),
            dims=("comparison", "group", "end", "draw"),
            coords={
                "comparison": [move.name for move in moves],
                "group": list(groups.names),
                "end": ["low", "high"],
            },
            name="probability",
        ),
        model=fit.spec.name,
        outcome=fit.spec.outcome,
        by=by,
        rows=int((groups.of_row >= 0).sum()),
        sampled=int(chosen.size),
        level=level,
    )


def _rows(fit: Fit, rows: Panel | None) -> Panel:
    """Rows to average over, with every column of the model, that the model can predict."""
    if rows is None:
        return fitted_rows(fit.spec, fit.panel)[0]
    if isinstance(rows, Panel):
        panel = complete(rows, fit.encoding.terms)
    else:
        raise wrong_type("rows", rows, "a Panel, such as fit.panel.select_years(2000, 2020).")
    kept, _ = usable_rows(fit.encoding.terms, panel.data)
    if not kept.size:
        raise ArgumentError("rows: the model can predict none of these rows.")
    return panel.with_data(chosen_rows(panel.data, kept))


def _drawn(fit: Fit, panel: Panel, groups: Groups, seed: int) -> tuple[IntArray, FloatArray]:
    """Positions of the rows to average over, and the chance with which each was drawn."""
    n = panel.data.sizes["row"]
    inside = np.flatnonzero(groups.of_row >= 0)
    if inside.size <= _ROWS:
        return inside, np.ones(inside.size)
    risk = np.empty(n)
    pilot = min(_PILOT, fit.draws)
    for part in _parts(n, _ENCODED):
        some = panel.with_data(panel.data.isel(row=part))
        risk[part] = predict(fit, some, draws=pilot, seed=seed).mean("draw").to_numpy()
    order = inside[np.argsort(groups.of_row[inside], kind="stable")]
    group, size = groups.of_row[order], risk[order] + risk[inside].mean()
    share = size / np.bincount(group, size)[group] * (_ROWS / len(groups.names))
    chance = np.minimum(share, 1.0)
    # Systematic: one uniform number, then evenly along the sum of chances.
    steps = np.floor(np.concatenate([[0.0], np.cumsum(chance)]) - generator(seed).random())
    taken = np.diff(steps) > 0
    return order[taken], chance[taken]


def _averages(
    fit: Fit,
    panel: Panel,
    move: Move,
    held: Mapping[str, float],
    groups: Groups,
    sample: tuple[IntArray, FloatArray],
    drawing: tuple[int, int],
) -> tuple[FloatArray, IntArray, IntArray]:
    """Average probability of every profile, (profile, group, draw); rows and missing by group."""
    draws, seed = drawing
    number = len(groups.names)
    known = move.known(panel.data) & (groups.of_row >= 0)
    rows = np.bincount(groups.of_row[known], minlength=number)
    every = np.bincount(groups.of_row[groups.of_row >= 0], minlength=number)
    chosen, chance = (part[known[sample[0]]] for part in sample)
    total = np.zeros((len(move.profiles), number, draws))
    for at in _parts(chosen.size, max(1, _ENCODED // len(move.profiles))):
        data = panel.data.isel(row=np.tile(chosen[at], len(move.profiles)))
        new = {name: np.full(data.sizes["row"], value) for name, value in held.items()}
        size = chosen[at].size
        for term in move.terms:
            new[term] = np.repeat([p[term] for p in move.profiles], size)
        data = data.assign({name: ("row", column) for name, column in new.items()})
        p = predict(fit, panel.with_data(data), draws=draws, seed=seed).to_numpy()
        weights = np.zeros((size, number))
        weights[np.arange(size), groups.of_row[chosen[at]]] = 1.0 / chance[at]
        for k in range(len(move.profiles)):
            total[k] += (p[:, k * size : (k + 1) * size] @ weights).T
    with np.errstate(invalid="ignore"):
        return total / rows[:, None], rows, every - rows


def _parts(n: int, size: int) -> Iterator[slice]:
    for first in range(0, n, size):
        yield slice(first, min(first + size, n))


def _tables(
    move: Move, found: tuple[FloatArray, IntArray, IntArray], groups: Groups, level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Comparison and curve of one move."""
    average, rows, missing = found
    low, high = move.ends or (np.nan, np.nan)
    about = {"term": move.name, "label": term_words(move.name)}
    told = {"interval": "equal-tailed", "level": level}
    of = [{"group": n, "group_label": w} for n, w in zip(groups.names, groups.labels, strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        difference, ratio = average[1] - average[0], average[1] / average[0]
    table = [
        {**about, "contrast": move.contrast, "low": low, "high": high, **group,
         "probability_low": average[0, g].mean(), "probability_high": average[1, g].mean(),
         **named_estimates(difference[g], level, ("difference", "lower", "upper")),
         **named_estimates(ratio[g], level, ("ratio", "ratio_lower", "ratio_upper")),
         "positive": (difference[g] > 0).mean() if rows[g] else np.nan,
         "rows": int(rows[g]), "missing": int(missing[g]), **told}
        for g, group in enumerate(of)
    ]  # fmt: skip
    curves = [
        {**about, "value": value, **group,
         **named_estimates(average[k, g], level, ("probability", "lower", "upper")),
         "rows": int(rows[g]), **told}
        for g, group in enumerate(of)
        for value, k in move.curve
    ]  # fmt: skip
    columns = [*about, "value", "group", "group_label", "probability", "lower", "upper", "rows",
               *told]  # fmt: skip
    return pd.DataFrame(table), pd.DataFrame(curves, columns=columns)
