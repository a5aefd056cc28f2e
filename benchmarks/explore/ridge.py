"""Penalised logit with block penalties: the stand-in for the hierarchical model.

Columns are dense; the random intercepts of states (multi-membership), dyads and eras are blocks
with their own ridge 1/sigma^2. A dense Newton on [fixed, states, eras]; dyads by the Schur
complement, since their block of the Hessian is diagonal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rows import FloatArray, Rows
from scipy.special import expit


@dataclass
class Design:
    """Columns by name, with the prior s.d. of each coefficient after scaling."""

    names: list[str] = field(default_factory=list)
    values: list[FloatArray] = field(default_factory=list)
    sds: list[float] = field(default_factory=list)
    raw: list[bool] = field(default_factory=list)

    def add(self, name: str, x: FloatArray, sd: float = 1.0, scale: bool = True) -> None:
        """A column; NaN becomes the training mean with an indicator of its own."""
        x = np.asarray(x, dtype=float)
        if np.isnan(x).any():
            self.names.append(name + ":missing")
            self.values.append(np.isnan(x).astype(float))
            self.sds.append(sd)
            self.raw.append(False)
        self.names.append(name)
        self.values.append(x)
        self.sds.append(sd)
        self.raw.append(not scale)

    def copy(self) -> Design:
        return Design(list(self.names), list(self.values), list(self.sds), list(self.raw))

    def without(self, *names: str) -> Design:
        keep = [i for i, n in enumerate(self.names) if n.split(":missing")[0] not in names]
        return Design(
            *([v[i] for i in keep] for v in (self.names, self.values, self.sds, self.raw))
        )


@dataclass
class Effects:
    """Scales of the random effects; 0 leaves a block out."""

    state: float = 0.0
    dyad: float = 0.0
    era: float = 0.0  # per step of the walk
    era_step: int = 5
    era_slopes: dict[str, float] = field(default_factory=dict)  # column -> s.d. per step of a walk


def thinned(rows: Rows) -> FloatArray:
    """Weights of the rows in a fit: 0 or 4 for peaceful rows that carry little information."""
    if not hasattr(rows, "_thin"):
        dull = (rows["peace_years"] > 10) & (rows["class_now"] == 0) & (rows.y == 0)
        draw = np.random.default_rng(7).random(rows.y.size) < 0.25
        rows._thin = np.where(dull, np.where(draw, 4.0, 0.0), 1.0)
    return rows._thin


def scaled(design: Design, train: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """All rows standardised by the training rows, and the penalties."""
    columns = []
    for x, raw in zip(design.values, design.raw, strict=True):
        known = x[train][~np.isnan(x[train])]
        if raw:
            columns.append(np.where(np.isnan(x), 0.0, x))
            continue
        mean = known.mean() if known.size else 0.0
        binary = np.isin(known, (0.0, 1.0)).all()
        sd = 1.0 if binary else 2 * known.std()
        columns.append((np.where(np.isnan(x), mean, x) - mean) / (sd if sd > 0 else 1.0))
    return np.column_stack(columns), 1.0 / np.asarray(design.sds) ** 2


def fit_predict(
    rows: Rows,
    design: Design,
    effects: Effects,
    origin: int,
    until: int,
    window: int = 0,
    weights: FloatArray | None = None,
    warm: dict | None = None,
    thin: bool = True,
) -> tuple[FloatArray, dict]:
    """Fit on years < origin, forecast origin..until-1: probabilities at the mode.

    `thin` keeps one in four peaceful rows of quiet dyads without a border, at four times the
    weight: the estimates hardly move and a fit takes a third of the time.
    """
    train = rows.year < origin
    if thin:
        w4 = thinned(rows)
        train &= w4 > 0
        weights = w4 if weights is None else weights * w4
    if window:
        train &= rows.year >= origin - window
    test = (rows.year >= origin) & (rows.year < until)
    X, penalty = scaled(design, train)
    n_fixed = X.shape[1] + 1
    both = train | test
    X = X[both]
    year = rows.year[both]
    is_train = train[both]
    blocks = [np.ones((X.shape[0], 1)), X]
    P = [np.diag(np.r_[1e-6, penalty])]
    first = rows.year[train].min()
    if effects.era > 0 or effects.era_slopes:
        # position of the walk: the step to which a year belongs; the test years continue the last
        steps = (origin - 1 - first) // effects.era_step + 1
        # steps are counted back from the origin so that the last one is always whole
        back = (origin - 1 - np.minimum(year, origin - 1)) // effects.era_step
        index = steps - 1 - back

        def walk(column: FloatArray, sd: float) -> None:
            # innovations z_k ~ N(0, sd), effect at step s = sum_{k=1..s} z_k (step 0 is the base)
            reached = index[:, None] >= np.arange(1, steps)[None, :]
            blocks.append(reached * column[:, None])
            P.append(np.eye(steps - 1) / sd**2)

        if effects.era > 0:
            walk(np.ones(X.shape[0]), effects.era)
        for name, sd in effects.era_slopes.items():
            walk(X[:, design.names.index(name)], sd)
    if effects.state > 0:
        n = int(max(rows.a.max(), rows.b.max())) + 1
        S = np.zeros((X.shape[0], n))
        S[np.arange(X.shape[0]), rows.a[both]] += 1
        S[np.arange(X.shape[0]), rows.b[both]] += 1
        blocks.append(S)
        P.append(np.eye(n) / effects.state**2)
    Z = np.hstack(blocks).astype(np.float32)
    k = Z.shape[1]
    Pm = np.zeros((k, k))
    at = 0
    for block in P:
        m = block.shape[0]
        Pm[at : at + m, at : at + m] = block
        at += m
    y = rows.y[both]
    Zt, yt = Z[is_train], y[is_train]
    wt = np.ones(yt.size) if weights is None else weights[train]
    beta = np.zeros(k)
    beta[0] = np.log(np.average(yt, weights=wt)) if wt.any() else 0.0
    if warm is not None and len(warm["names"]) == n_fixed - 1 and warm["names"] == design.names:
        beta[:n_fixed] = warm["fixed"]
    dyads = None
    if effects.dyad > 0:
        key = rows.a[both].astype(np.int64) * 1000 + rows.b[both]
        _, dyads = np.unique(key, return_inverse=True)
        nd = dyads.max() + 1
        d_train = dyads[is_train]
        v = np.zeros(nd)
        tau = 1.0 / effects.dyad**2
    else:
        v, nd = np.zeros(1), 1
    value = np.inf
    for _ in range(40):
        eta = Zt @ beta + (v[d_train] if dyads is not None else 0.0)
        p = expit(eta)
        w = wt * p * (1 - p)
        g = Zt.T @ (wt * (yt - p)) - Pm @ beta
        root = Zt * np.sqrt(w).astype(np.float32)[:, None]
        H = (root.T @ root).astype(float) + Pm
        if dyads is not None:
            gd = np.bincount(d_train, wt * (yt - p), nd) - tau * v
            D = np.bincount(d_train, w, nd) + tau
            from scipy.sparse import csr_matrix

            M = csr_matrix((w, (d_train, np.arange(w.size))), shape=(nd, w.size)) @ Zt
            MD = M / D[:, None]
            step = np.linalg.solve(H - M.T @ MD, g - MD.T @ gd)
            vstep = (gd - M @ step) / D
        else:
            step = np.linalg.solve(H, g)
            vstep = 0.0

        def objective(b, u):
            e = Zt @ b + (u[d_train] if dyads is not None else 0.0)
            out = (wt * (np.logaddexp(0, e) - yt * e)).sum() + 0.5 * b @ Pm @ b
            return out + (0.5 * tau * (u @ u) if dyads is not None else 0.0)

        size = 1.0
        new = objective(beta + step, v + vstep)
        while new > value and size > 1e-4:
            size /= 2
            new = objective(beta + size * step, v + size * vstep)
        beta, v = beta + size * step, v + size * vstep
        if value - new < 1e-2:
            value = new
            break
        value = new
    eta = Z[~is_train] @ beta + (v[dyads[~is_train]] if dyads is not None else 0.0)
    info = {
        "fixed": beta[:n_fixed],
        "names": design.names,
        "beta": dict(zip(["1", *design.names], beta[:n_fixed], strict=True)),
        "mode": value,
    }
    _, logdet = np.linalg.slogdet(H if dyads is None else H - M.T @ MD)
    prior_logdet = np.log(np.diag(Pm)[1:]).sum()
    info["evidence"] = -value - 0.5 * logdet + 0.5 * prior_logdet
    if dyads is not None:
        info["evidence"] += -0.5 * np.log(D).sum() + 0.5 * nd * np.log(tau)
    return expit(eta), info


def backtest(
    rows: Rows,
    design: Design,
    effects: Effects | None = None,
    first: int = 1960,
    last: int = 1990,
    refit: int = 5,
    window: int = 0,
    weights: Callable[[int], FloatArray] | None = None,
    thin: bool = True,
) -> tuple[FloatArray, list[dict]]:
    """Forecasts of first..last (NaN elsewhere) with a refit every `refit` years."""
    p = np.full(rows.y.size, np.nan)
    infos = []
    for origin in range(first, last + 1, refit):
        until = min(origin + refit, last + 1)
        test = (rows.year >= origin) & (rows.year < until)
        p[test], info = fit_predict(
            rows,
            design,
            effects or Effects(),
            origin,
            until,
            window,
            None if weights is None else weights(origin),
            infos[-1] if infos else None,
            thin,
        )
        infos.append(info)
    return p, infos


def spline(x: FloatArray, knots: Sequence[float]) -> FloatArray:
    """Natural cubic spline basis (cardinal, first knot dropped), linear beyond the last."""
    from forecast.modeling.covariates import natural_cubic

    return natural_cubic(x, tuple(knots))
