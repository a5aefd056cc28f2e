"""Similarity of alliance portfolios: what two states have promised to everybody else.

The portfolio of i in a year is the vector p_i over all states k in the system, p_ik in {0 none,
1 consultation, 2 non-aggression or neutrality, 3 defence or offence}: the strongest obligation
between i and k, in either direction. The two states themselves are among the k. As is usual
(Signorino & Ritter 1999; Häge 2011) a state counts as its own defence ally, p_ii = 3. N is the
number of states in the system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features import arrays, successions
from forecast.features.registry import feature
from forecast.features.shared import shared

Float64Array = npt.NDArray[np.float64]

#: Rank of each obligation class in a portfolio. An offensive pact is as close a tie as a
#: defensive one; the few pairs with offence alone are not strangers.
RANKS: Mapping[str, int] = MappingProxyType(
    {"consultation": 1, "nonaggression": 2, "neutrality": 2, "offense": 3, "defense": 3}
)
LARGEST = 3


@shared
def portfolios(world: xr.Dataset) -> npt.NDArray[np.int8]:
    """Ranks p_ik, shape (year, state, other); 0 to 3, symmetric but for years of relabelling.

    In the year in which a state is relabelled the successor's column stands for both codes.
    """
    flags = world["obligations"]
    names = [str(name) for name in flags["obligation"].to_numpy()]
    owed = flags.to_numpy()
    ranks = np.zeros(owed.shape[:3], dtype=np.int8)
    for name, rank in RANKS.items():  # in rising order: the strongest is written last
        ranks[owed[..., names.index(name)]] = rank
    ranks = successions.count_once(np.maximum(ranks, ranks.transpose(0, 2, 1)), world)
    itself = np.arange(ranks.shape[1])
    ranks[:, itself, itself] = LARGEST
    return ranks


def signorino_ritter(ranks: Float64Array, weight: Float64Array) -> Float64Array:
    """S = 1 − 2 Σ_k w_k |p_ik − p_jk| / (3 Σ_k w_k); NaN if no weight is positive.

    |p − q| is the number of thresholds 1, 2, 3 that one reaches and the other does not.
    """
    apart = np.zeros((len(ranks), len(ranks)))
    for threshold in range(1, LARGEST + 1):
        reached = (ranks >= threshold) * np.sqrt(weight)
        both = reached @ reached.T
        alone = np.diagonal(both)
        apart += alone[:, None] + alone[None, :] - 2 * both
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - 2 * apart / (LARGEST * weight.sum()))


def _moments(ranks: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Means (n,), variances (n,) and mean squared differences (n, n) of the portfolios."""
    mean = ranks.mean(axis=1)
    product = ranks @ ranks.T / ranks.shape[1]
    square = np.diagonal(product)
    return mean, square - mean**2, square[:, None] + square[None, :] - 2 * product


def _beyond_chance(observed: Float64Array, expected: Float64Array) -> Float64Array:
    """1 − observed / expected disagreement; NaN where no disagreement could be expected."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 1e-12, 1 - observed / expected, np.nan)


def cohen(ranks: Float64Array) -> Float64Array:
    """Cohen's κ with squared weights: chance is two independent draws, one from each portfolio.

    κ = 1 − Σ_k (p_ik − p_jk)² / (N (s_i² + s_j² + (m_i − m_j)²)), m and s² the mean and the
    variance of a portfolio.
    """
    mean, variance, observed = _moments(ranks)
    expected = variance[:, None] + variance[None, :] + (mean[:, None] - mean[None, :]) ** 2
    return _beyond_chance(observed, expected)


def scott(ranks: Float64Array) -> Float64Array:
    """Scott's π with squared weights: chance is two draws from the two portfolios pooled.

    π = 1 − Σ_k (p_ik − p_jk)² / (2 N s²), s² the variance of the pooled values.
    """
    mean, variance, observed = _moments(ranks)
    pooled = (variance[:, None] + variance[None, :]) / 2 + (mean[:, None] - mean[None, :]) ** 2 / 4
    return _beyond_chance(observed, 2 * pooled)


def kendall(ranks: Float64Array) -> Float64Array:
    """Kendall's τ_b over all pairs of states k < l; NaN where a portfolio is constant.

    τ_b = (C − D) / √((T − T_i)(T − T_j)): concordant less discordant pairs, all T pairs less
    those tied in either portfolio; from the 4 × 4 table of ranks of every dyad.
    """
    levels = range(LARGEST + 1)
    at = [(ranks == level).astype(np.float64) for level in levels]
    table = [[at[c] @ at[d].T for d in levels] for c in levels]
    # above[d]: number of k with a higher rank in i and rank d in j; grows as c falls.
    above = [np.zeros((len(ranks), len(ranks))) for _ in levels]
    net = np.zeros((len(ranks), len(ranks)))
    for c in reversed(levels):
        for d in levels:
            higher, lower = sum(above[d + 1 :]), sum(above[:d])
            net += table[c][d] * (higher - lower)
        for d in levels:
            above[d] += table[c][d]
    counts = np.stack([one.sum(axis=1) for one in at])
    n = ranks.shape[1]
    untied = (n * (n - 1) - (counts * (counts - 1)).sum(axis=0)) / 2
    scale = np.sqrt(untied[:, None] * untied[None, :])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, net / scale, np.nan)


#: The measures by name; "S" is weighted, the others count every state once.
MEASURES: Mapping[str, Callable[[Float64Array], Float64Array]] = MappingProxyType(
    {
        "S": lambda ranks: signorino_ritter(ranks, np.ones(ranks.shape[1])),
        "pi": scott,
        "kappa": cohen,
        "tau_b": kendall,
    }
)


@feature(
    family="structure",
    level="dyad",
    unit="agreement",
    bounds=(-1, 1),
    sign="-",
    formula="S = 1 − 2 Σ_k w_k |p_ik − p_jk| / (3 Σ_k w_k); π, κ = 1 − observed / expected squared "
    "difference; τ_b; p_ik ∈ {0 none, 1 consultation, 2 non-aggression or neutrality, 3 defence}",
    source="Signorino & Ritter 1999 (S); Scott 1955, Cohen 1968, Häge 2011 (π, κ); Bueno de "
    "Mesquita 1975 (τ_b)",
    needs=("obligation", "member"),
)
def portfolio_similarity(
    world: xr.Dataset, *, measure: str = "S", weighting: str = "none"
) -> np.ndarray:
    """Agreement of the alliance portfolios of the two states; 1 for identical ones.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    measure : {"S", "pi", "kappa", "tau_b"}
        Signorino & Ritter's S; Scott's π and Cohen's κ with squared weights; Kendall's τ_b. S is
        high for two states without allies, as most pairs agree on having nothing in common; π
        and κ correct for agreement by chance (Häge 2011).
    weighting : {"none", "capability"}
        For S, weights of the states k: each once, or by capability share. A state whose share is
        missing has weight 0; in years without capabilities the value is missing.

    Returns
    -------
    numpy.ndarray, shape (year, state, other)
        Symmetric. π, κ and τ_b are missing where a portfolio (π, κ: both) is constant.
    """
    if measure not in MEASURES:
        raise UnknownNameError("measure of portfolio similarity", measure, MEASURES)
    if weighting not in ("none", "capability"):
        raise ArgumentError(f"weighting must be 'none' or 'capability'; found {weighting!r}")
    if weighting == "capability" and measure != "S":
        raise ArgumentError(f"weighting='capability' is defined for measure='S', not {measure!r}")
    member = world["member"].to_numpy()
    ranks = portfolios(world)
    out = np.full(ranks.shape, np.nan, dtype=np.float32)
    weights = np.ones(member.shape)
    if weighting == "capability":
        covered = world["capability_covered"].to_numpy()[:, None]
        weights = np.where(covered, np.nan_to_num(arrays.capability(world)), 0.0)
    for s, inside in enumerate(member):  # the vectors are over the states of the year
        here = np.flatnonzero(inside)
        if not here.size:  # a year before the first state
            continue
        block = ranks[s][np.ix_(here, here)].astype(np.float64)
        if weighting == "capability":
            found = signorino_ritter(block, weights[s, here])
        else:
            found = MEASURES[measure](block)
        out[s][np.ix_(here, here)] = found
    return np.clip(out, -1, 1)
