"""Do alliances help to forecast? Gains of a model over itself without some of its terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.errors import ArgumentError
from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.recalibration import SUFFIX as RECALIBRATED
from forecast.evaluation.record_tables import KEYS
from forecast.evaluation.scores import log_loss_rows
from forecast.evaluation.tables import groups_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from forecast.modeling.spec import ModelSpec

__all__ = [
    "ALL",
    "DIFFUSION",
    "alliance_gains",
    "alliance_variants",
    "gain_words",
    "group_label",
    "variant_label",
]

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
    level : float
        Probability of the intervals.
    resamples : int
        Bootstrap resamples per kind of block.

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
    part = forecasts[forecasts["horizon"] == horizon]
    keys = ["year", *(name for name in KEYS if name in part)]
    base = part[part["model"] == model].sort_values(keys, ignore_index=True)
    names = [str(n) for n in dict.fromkeys(part["model"])]
    # A recalibrated variant is held against the recalibrated model.
    labels = {name: variant_label(name, model) for name in names}
    pairs = [
        (name, label, f"{model}{RECALIBRATED}" if name.endswith(RECALIBRATED) else model)
        for name, label in labels.items()
        if label is not None
    ]
    pairs = [pair for pair in pairs if pair[2] in names]
    if base.empty or not pairs:
        raise ArgumentError(
            f"Expected forecasts of {model!r} and of variants named '…{_MARK}<family>' at horizon"
            f" {horizon}; found {', '.join(names) or 'none'}."
        )
    y = base["outcome"].to_numpy(dtype=np.float64)

    def loss_of(name: str) -> npt.NDArray[np.float64]:
        rows = part[part["model"] == name].sort_values(keys, ignore_index=True)
        if len(rows) != len(base) or not (rows[keys] == base[keys]).all().all():
            raise ArgumentError(f"{name!r} has other rows than {model!r}; a gain is paired by row.")
        return log_loss_rows(y, rows["probability"])

    own = {name: loss_of(name) for name in dict.fromkeys(full for *_, full in pairs)}
    climatology = loss_of("climatology") if "climatology" in names else None
    pair = base.groupby(keys[1:], sort=False).ngroup().to_numpy()
    year = base["year"].to_numpy()
    groups = _groups(base, eras or {})
    table = []
    for name, label, full in pairs:
        other = loss_of(name)
        for kind, group, mask in groups:
            blocks: dict[str, npt.ArrayLike] = {"year": year[mask], "dyad": pair[mask]}
            if np.unique(year[mask]).size < 2 and np.unique(pair[mask]).size < 2:
                continue
            found = paired_difference(
                other[mask],
                own[full][mask],
                blocks=blocks,
                seed=seed,
                level=level,
                resamples=resamples,
            )
            reference = np.nan if climatology is None else float(climatology[mask].mean())
            table.append(
                {
                    "left_out": label, "recalibrated": full != model, "kind": kind, "group": group,
                    "first_year": int(year[mask].min()), "last_year": int(year[mask].max()),
                    "rows": found.rows, "events": int(y[mask].sum()), "gain": found.mean,
                    "lower": found.lower, "upper": found.upper, "block": found.block,
                    "blocks": found.blocks[found.block], **found.ends(),
                    "share": found.mean / reference, "level": level,
                }
            )  # fmt: skip
    return pd.DataFrame(table)


def _groups(
    rows: pd.DataFrame, eras: Mapping[str, tuple[int, int | None]]
) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Kind, name and rows of every group, those without rows left out."""
    year = rows["year"].to_numpy()
    every, *rest = groups_of(rows, kinds=("stratum",))
    found = [every]
    for name, (first, last) in eras.items():
        found.append(("era", name, (year >= first) & (year <= (9999 if last is None else last))))
    found += [("decade", f"{d}s", year // 10 * 10 == d) for d in np.unique(year // 10 * 10)]
    found += [(k, f"peace {name}" if k == "peace" else name, mask) for k, name, mask in rest]
    return [(kind, name, mask) for kind, name, mask in found if mask.any()]


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
