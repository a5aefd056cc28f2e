"""Do alliances help to forecast? Gains of a model over itself without some of its terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.errors import ArgumentError
from forecast.evaluation import score_table as st
from forecast.evaluation.recalibration import SUFFIX as RECALIBRATED
from forecast.evaluation.scores import log_loss

if TYPE_CHECKING:
    from forecast.modeling.spec import ModelSpec

__all__ = [
    "ALL", "DIFFUSION", "alliance_gains", "alliance_variants", "gain_words", "group_label",
    "variant_label",
]  # fmt: skip

#: What is left out when every alliance term is.
ALL = "alliances"
#: Features by which disputes spread along alliances.
DIFFUSION = (
    "ally_in_dispute_with_opponent", "ally_in_dispute_elsewhere", "disputes_with_allies",
)  # fmt: skip
_MARK = "without_"


def alliance_variants(spec: ModelSpec) -> list[ModelSpec]:
    """The model without all alliance terms, and without each group of them that it has.

    Groups are the families of terms, but deterrence is divided: ``diffusion`` (where an ally
    already is in a dispute: needs to know who is allied and who is in a dispute) and ``pacts``
    (the rest of the family). ``structure`` is everything but diffusion: what alliances say by
    themselves. Pass the variants to `forecast.backtest` as ``baselines``: they are fitted as the
    model is, on the same rows, and `alliance_gains` compares them.

    Raises
    ------
    ArgumentError
        The model has no alliance term.
    """
    from forecast.modeling.terms import ALLIANCE_FAMILIES

    groups: dict[str, list[str]] = {}
    for entry in spec.entries:
        if entry.family in ALLIANCE_FAMILIES:
            group = str(entry.family)
            if group == "deterrence":
                group = "diffusion" if entry.feature in DIFFUSION else "pacts"
            groups.setdefault(group, []).append(entry.name)
    if not groups and spec.alliance_level is None:
        raise ArgumentError(f"Model {spec.name!r} has no alliance term to leave out.")
    found = [spec.without()]
    if "diffusion" in groups and len(groups) > 1:
        structure = [t for group, terms in groups.items() if group != "diffusion" for t in terms]
        found.append(spec.without_terms(structure, suffix="structure"))
    return found + [spec.without_terms(terms, suffix=name) for name, terms in groups.items()]


def variant_label(name: str, model: str) -> str | None:
    """What a variant of a model leaves out (``"alliances"`` or a group); None for other names."""
    plain = name.removesuffix(RECALIBRATED)
    for start in (_MARK, f"{model}_{_MARK}"):
        if plain.startswith(start):
            return plain.removeprefix(start)
    return None


def alliance_gains(
    forecasts: pd.DataFrame,
    *,
    model: str,
    seed: int,
    eras: Mapping[str, tuple[int, int | None]] | None = None,
    horizon: int = 1,
    level: float = 0.9,
    resamples: int = 2000,
) -> pd.DataFrame:
    r"""Gain in log loss of the full model over each variant of it, paired by row.

    :math:`\bar\ell(\text{variant}) - \bar\ell(\text{model})`, so that above 0 the terms that the
    variant lacks have improved the forecasts.

    Parameters
    ----------
    forecasts : pandas.DataFrame
        Row-level forecasts with the model and its variants (`alliance_variants`).
    model : str
        Name of the full model.
    seed : int
        Seed of the bootstraps; the same resamples for every variant of a group.
    eras : mapping of str to (int, int or None), optional
        First and last year by name; those with test years are reported beside the decades.
    horizon : int
        Years ahead.
    level, resamples : float, int
        Probability of the intervals; bootstrap resamples per kind of block.

    Returns
    -------
    pandas.DataFrame
        ``left_out``, ``recalibrated`` (both, on earlier forecasts), ``kind`` (all, era,
        decade, stratum, peace), ``group``, ``first_year``, ``last_year``, ``rows``, ``events``,
        ``gain`` (nats per row), ``lower``, ``upper`` (the wider of two block bootstraps),
        ``block``, ``blocks``, ``lower_by_year`` and so on for each kind of block, ``share`` (of
        the log loss of climatology; NaN without it) and ``level``. A group with one year or one
        pair has no interval from that block.

    Raises
    ------
    ArgumentError
        No variant in the forecasts, or not on the rows of the model.
    """
    ordered, pairs = _paired_rows(forecasts[forecasts["horizon"] == horizon], model, horizon)

    def slices(rows: pd.DataFrame) -> Iterator[tuple[str, str, st.Mask]]:
        return _groups(rows, eras or {})

    table = st.difference_table(
        ordered,
        [(name, full) for name, _, full in pairs],
        by=slices,
        bootstrap=st.Bootstrap(seed, resamples),
        level=level,
    )
    if table.empty:
        return table
    base = ordered[ordered["model"] == st.REFERENCE].reset_index(drop=True)
    reference = {
        (kind, group): log_loss(base.loc[mask, "outcome"], base.loc[mask, "probability"]).value
        for kind, group, mask in (slices(base) if len(base) else ())
    }
    label = {name: left_out for name, left_out, _ in pairs}
    table = table.rename(columns={"estimate": "gain"}).assign(
        left_out=table["model"].map(label),
        recalibrated=table["against"] != model,
        share=lambda t: [
            row["gain"] / reference.get((row["kind"], row["group"]), np.nan)
            for row in t.to_dict("records")
        ],
    )
    by_variant = [table[table["model"] == name] for name, *_ in pairs]
    ends = [name for name in table if "_by_" in str(name)]
    columns = [
        "left_out", "recalibrated", "kind", "group", "first_year", "last_year", "rows", "events",
        "gain", "lower", "upper", "block", "blocks", *ends, "share", "level",
    ]  # fmt: skip
    return pd.concat(by_variant, ignore_index=True)[columns]


def _paired_rows(
    part: pd.DataFrame, model: str, horizon: int
) -> tuple[pd.DataFrame, list[tuple[str, str, str]]]:
    """Rows of the model, its variants and climatology in one order; variant, label, full model.

    A recalibrated variant is held against the recalibrated model.
    """
    keys = ["year", *(name for name in st.KEYS if name in part)]
    names = [str(n) for n in dict.fromkeys(part["model"])]
    pairs = [
        (name, label, f"{model}{RECALIBRATED}" if name.endswith(RECALIBRATED) else model)
        for name in names
        if (label := variant_label(name, model)) is not None
    ]
    pairs = [pair for pair in pairs if pair[2] in names]
    if model not in names or not pairs:
        raise ArgumentError(
            f"Expected forecasts of {model!r} and of variants named '…{_MARK}<family>' at horizon"
            f" {horizon}; found {', '.join(names) or 'none'}."
        )
    used = dict.fromkeys((model, *(n for name, _, full in pairs for n in (full, name))))
    used |= dict.fromkeys(["climatology"] if "climatology" in names else [])
    ordered = {
        name: part[part["model"] == name].sort_values(keys, ignore_index=True) for name in used
    }
    for name, rows in ordered.items():
        if not rows[keys].equals(ordered[model][keys]):
            raise ArgumentError(f"{name!r} has other rows than {model!r}; a gain is paired by row.")
    return pd.concat(ordered.values(), ignore_index=True), pairs


def _groups(
    rows: pd.DataFrame, eras: Mapping[str, tuple[int, int | None]]
) -> Iterator[tuple[str, str, st.Mask]]:
    """Kind, name and rows of every group, those without rows left out."""
    year = rows["year"].to_numpy()
    every, *rest = st.slices(rows, ("stratum", "peace"))
    found = [every]
    for name, (first, last) in eras.items():
        found.append(("era", name, (year >= first) & (year <= (9999 if last is None else last))))
    found += [("decade", f"{d}s", year // 10 * 10 == d) for d in np.unique(year // 10 * 10)]
    found += [(k, f"peace {name}" if k == "peace" else name, mask) for k, name, mask in rest]
    return (group for group in found if group[2].any())


def group_label(row: Mapping[Any, Any]) -> str:
    """Name of the group of a line of `alliance_gains`: of an era, the years that were forecast.

    The first era may begin long before them, and the last has no end.
    """
    if row["kind"] == "era":
        return f"{row['first_year']}–{row['last_year']}"
    return str(row["group"])


def gain_words(row: Mapping[str, object]) -> str:
    """What a line of `alliance_gains` says, in plain words and no more than it says."""
    lower, upper = float(str(row["lower"])), float(str(row["upper"]))
    if lower > 0.0:
        return "improves the forecasts"
    if upper < 0.0:
        return "makes the forecasts worse"
    return "has not been shown to change the forecasts"
