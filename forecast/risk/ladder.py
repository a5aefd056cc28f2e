"""How bad, of one pair: the ladder of severity, and fighting, from the draws of an outlook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.draws import Stream, estimates, generator
from forecast.features.strata import REMOTE
from forecast.risk.outlook import Outlook
from forecast.simulation.dynamics import STATUSES
from forecast.simulation.levels import LEVEL_WORDS, LEVELS
from forecast.text import percentage, percentage_interval, rounding_step

if TYPE_CHECKING:
    from forecast.evaluation.calibration_record import CalibrationRecord

__all__ = ["fighting_draws", "ladder_draws", "ladder_entries", "told"]

Draws = npt.NDArray[np.floating[Any]]


def ladder_draws(outlook: Outlook, pair: tuple[int, int], stratum: str, horizon: int) -> Draws:
    """Draws of the probability of each level within `horizon` years; (4, D).

    Of a pair that the model has no row of they are those of the observed rate (Jeffreys) times
    what its record says of how bad it gets.
    """
    row = outlook.position.get(pair)
    if row is not None:
        return outlook.ladder(np.array([row]), horizon)[:, 0, -1]
    severity, base = outlook.severity, outlook.base_rates[horizon][stratum]
    rng = generator(outlook.seed, Stream.OBSERVED_RATES, *pair)
    onset = rng.beta(base.onsets + 0.5, base.rows - base.onsets + 0.5, severity.draws)
    given = _given_onset(outlook, pair)
    return np.concatenate([onset[None], onset * given])


def fighting_draws(
    outlook: Outlook, pair: tuple[int, int], deaths_25: Draws
) -> tuple[Draws, tuple[str, Draws] | None]:
    """Draws of fighting, and of an open dispute's coming to more deaths.

    Parameters
    ----------
    deaths_25 : numpy.ndarray, shape (D,)
        Probability that a dispute begins that comes to more than 25 deaths.

    Returns
    -------
    fighting : numpy.ndarray, shape (D,)
        Probability that at the end of one of the years a dispute of the two is under way with more
        than 25 deaths, or that one has begun that comes to it.
    rises : tuple of (str, numpy.ndarray), or None
        Of a pair with a dispute under way: the level after the one that is recorded so far, and
        draws of the probability that the dispute comes to it in the end.
    """
    if outlook.status(pair) != STATUSES[2]:
        return deaths_25, None
    dispute = outlook.disputes[pair]
    still = outlook.still_under_way(pair, 1)[0]
    known = 0 if pd.isna(dispute["deaths_class"]) else int(dispute["deaths_class"])
    reached = max(number for number, least in enumerate(LEVELS.values()) if known >= least)
    given = _given_onset(outlook, pair)
    given = np.concatenate([np.ones_like(given[:1]), given])
    severe = tuple(LEVELS).index("deaths_25")
    goes_on = still if reached >= severe else still * given[severe] / given[reached]
    rises = None
    if reached + 1 < len(LEVELS):
        rises = tuple(LEVELS)[reached + 1], given[reached + 1] / given[reached]
    return 1.0 - (1.0 - goes_on) * (1.0 - deaths_25), rises


def _given_onset(outlook: Outlook, pair: tuple[int, int]) -> Draws:
    """Draws of the chance that an onset of the first year comes to each level; (3, D)."""
    columns = outlook.severity.columns(np.array([pair]))
    return outlook.severity.given_onset(columns, outlook.origin + 1)[:, 0]


def told(draws: Draws, level: float) -> dict[str, Any]:
    """Mean and equal-tailed interval of draws, and both in words."""
    mean, lower, upper = estimates(draws, level).tolist()
    step = rounding_step(mean, [upper - lower])
    return {
        "probability": mean,
        "lower": lower,
        "upper": upper,
        "text": f"{percentage(mean, step)} ({percentage_interval(lower, upper, step)})",
    }


def ladder_entries(
    outlook: Outlook,
    draws: Draws,
    stratum: str,
    horizon: int,
    level: float,
    record: CalibrationRecord | None,
) -> tuple[dict[str, Any], ...]:
    """The field `ladder` of `forecast.risk.Risk`."""
    scope = "remote" if stratum.endswith(REMOTE) else "relevant"
    entries: list[dict[str, Any]] = []
    for name, values in zip(LEVELS, draws, strict=True):
        if name in outlook.severity.unrecorded:
            none = dict.fromkeys(("probability", "lower", "upper", "base_rate"))
            said = {"text": "not recorded in these data", "base_rows": 0, "record": {}}
            entries.append({"severity": name, "meaning": LEVEL_WORDS[name], **none, **said})
            continue
        base, rows = outlook.base_of(horizon, stratum, name)  # type: ignore[arg-type]
        nothing = {"covered": False, "source": "none", "text": "No backtest travels with this fit."}
        entries.append(
            {
                "severity": name,
                "meaning": LEVEL_WORDS[name],
                **told(values, level),
                "base_rate": base,
                "base_rows": rows,
                "record": nothing if record is None else record.quote_level(name, scope),
            }
        )
    return tuple(entries)
