"""Identity of a fit: a hash of everything that its numbers depend on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from forecast.files import SCHEMA_VERSION
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["fit_id", "fit_id_of", "rows_fingerprint"]


def fit_id(
    spec: ModelSpec,
    fingerprint: str,
    method: str,
    seed: int,
    draws: int,
    schema_version: int,
    *,
    chains: int = 4,
    tune: int = 1000,
    warm_start: str | None = None,
) -> str:
    """Identity of a fit: SHA-256 over everything that its numbers depend on, 64 hex digits.

    Of the specification its canonical JSON counts, so that a better sentence does not make a new
    fit; `fingerprint` is that of the rows (`rows_fingerprint`), `warm_start` the id of the fit from
    which the search began. Chains and tuning count for NUTS only, the start for Laplace only.
    """
    content: dict[str, Any] = {
        "spec": spec.canonical_json(),
        "data": fingerprint,
        "method": method,
        "seed": seed,
        "draws": draws,
        "schema": schema_version,
    }
    if method == "nuts":
        content |= {"chains": chains, "tune": tune}
    elif warm_start is not None:
        content["warm_start"] = warm_start
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def fit_id_of(fit: Fit) -> str:
    """Id that a fit's own content gives; differs from ``fit.id`` if somebody changed it."""
    sizes, facts = fit.posterior["posterior"].sizes, fit.posterior.attrs
    return fit_id(
        fit.spec, rows_fingerprint(fit.panel), fit.method, fit.seed, int(sizes["draw"]),
        SCHEMA_VERSION, chains=int(sizes["chain"]), tune=int(facts["tune"]),
        warm_start=str(facts["warm_start"]) or None,
    )  # fmt: skip


def rows_fingerprint(panel: Panel) -> str:
    """SHA-256 over the fingerprint of a panel and the rows that it holds now.

    `Panel.fingerprint` stays the same when rows are selected, as a backtest does; a fit must
    not. Columns count only in a panel without a world, where they cannot be computed anew.
    """
    digest = hashlib.sha256(panel.fingerprint.encode())
    names = [n for n in ("year", "ccode", "ccode_a", "ccode_b", "outcome") if n in panel.data]
    if panel.world is None:
        names += sorted(
            str(name)
            for name, variable in panel.data.data_vars.items()
            if variable.dtype.kind in "fiub" and name not in names
        )
    for name in names:
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(panel.data[name].to_numpy(), dtype="<f8").tobytes())
    return digest.hexdigest()
