"""Likelihoods and group effects of many draws at once, chunk by chunk, against direct ways."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import logsumexp
from scipy.stats import norm
from support.simulated_designs import block, dyads, indicator, plain

from forecast.inference import latent as latents
from forecast.inference import linear_map, trapezoid
from forecast.inference.laplace import sample_laplace
from forecast.inference.latent import Latent
from forecast.inference.trapezoid import grids
from forecast.modeling.design import Design


def integral(a: np.ndarray, events: int, sigma: float) -> float:
    """log of the integral over one effect but for the linear part, by a very fine grid."""
    d = np.linspace(-12 * sigma, 12 * sigma, 20_001)
    h = events * d - np.logaddexp(0.0, a[:, None] + d).sum(axis=0) + norm.logpdf(d, 0, sigma)
    return float(logsumexp(h) + np.log(d[1] - d[0]))


def one_group(a: np.ndarray, events: int) -> Latent:
    y = np.r_[np.ones(events), np.zeros(a.size - events)]
    group = block("dyad", indicator(np.zeros(a.size, int), 1), 1.0)
    return Latent(plain(y.tolist(), a[:, None], (group,)))


def never(*_args: object) -> float:
    raise AssertionError("nodes shared by all groups were to do")


@pytest.mark.parametrize("sigma", [1e-3, 0.1, 0.5, 1.0, 1.5, 2.5, 3.9])
@pytest.mark.parametrize(
    ("center", "spread", "count", "events"),
    [(-14, 1, 1, 0), (-9, 2, 70, 0), (-6, 3, 200, 0), (-4, 1, 30, 0), (-2, 1, 3, 0), (1, 1, 2, 0),
     (-9, 2, 70, 1), (-6, 1, 200, 2), (-4, 1, 30, 3), (-2, 1, 60, 9), (-1, 1, 40, 15)],
)  # fmt: skip
def test_shared_nodes_give_the_integral(monkeypatch, sigma, center, spread, count, events):
    monkeypatch.setattr(Latent, "_direct", never)
    a = center + spread * np.linspace(-1.0, 1.0, count) * (count > 1)
    found = one_group(a, events).log_likelihoods(np.ones((2, 1)), np.full(2, sigma), np.zeros(1))
    expected = integral(a, events, sigma) + a[:events].sum()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=3e-7)


@pytest.mark.parametrize(("sigma", "center"), [(5.0, -4.0), (1.0, 9.0), (3.0, 12.0)])
def test_what_shared_nodes_cannot_do_is_done_around_each_mode(sigma, center):
    for events in (0, 2):
        a = center + np.linspace(-1.0, 1.0, 5)
        latent = one_group(a, events)
        found = latent.log_likelihoods(np.ones((17, 1)), np.full(17, sigma), np.zeros(1))
        expected = latent.moments(np.ones(1), sigma, np.zeros(1)).value
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def rare(seed: int = 1) -> tuple[Latent, np.ndarray, np.ndarray]:
    """Groups whose odds are anything from 1e-9 to 1, with draws."""
    rng = np.random.default_rng(seed)
    count, each = 400, 40
    d = np.repeat(np.arange(count), each)
    X = np.stack([np.ones(d.size), (rng.uniform(-20, -1, count))[d], rng.normal(size=d.size)], 1)
    y = (rng.random(d.size) < 1 / (1 + np.exp(-X[:, 1]))).astype(float)
    latent = Latent(plain(y.tolist(), X, (block("dyad", indicator(d, count), 1.0),)))
    W = np.stack([rng.normal(0, 0.2, 40), 1 + rng.normal(0, 0.02, 40), rng.normal(0, 0.5, 40)], 1)
    return latent, W, rng.uniform(0.3, 2.5, 40)


def test_series_and_products_over_rows_are_one_likelihood(monkeypatch):
    latent, W, sigmas = rare()
    modes = np.zeros(latent.levels)
    usual = latent.log_likelihoods(W, sigmas, modes)
    nodes = grids(np.sort(sigmas)[-16:][None])
    assert (nodes.limit < np.inf).all() and (nodes.limit > 0).all()

    def without(s: np.ndarray) -> object:
        made = grids(s)
        return made._replace(
            limit=made.limit * 0 - 1, strict=made.strict * 0 - 1, highest=made.highest * np.inf
        )

    monkeypatch.setattr(latents, "grids", without)
    products = latent.log_likelihoods(W, sigmas, modes)
    np.testing.assert_allclose(usual, products, rtol=0, atol=1e-4)
    exact = [
        latent.moments(w, s, modes.copy()).value for w, s in zip(W[:8], sigmas[:8], strict=True)
    ]
    np.testing.assert_allclose(usual[:8], exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("odds", [1e-6, 1e-4, 1e-3, 1e-2])
def test_a_series_is_used_only_where_its_remainder_is_small(sigma, odds):
    rng = np.random.default_rng(3)
    e = odds * np.exp(rng.normal(0, 1, 60))
    made = grids(np.full((1, 16), sigma))
    S = np.empty((6, 16), np.float32)
    trapezoid.power_sums(np.repeat(e[:, None], 16, 1).astype(np.float32), S)
    np.testing.assert_allclose(S[:, 0], [(e**j).sum() for j in range(1, 7)], rtol=1e-5)
    t = made.t[:, 0]
    x = sum((-1) ** (j + 1) * (e**j).sum() * t**j / j for j in range(1, 6))
    right = np.log1p(np.outer(t, e)).sum(axis=1)
    off = np.abs(np.exp(-np.minimum(x, 700)) - np.exp(-right))
    usual, strict = S[5, 0] <= made.limit, S[5, 0] <= made.strict
    weight = made.density * made.spacing[0] / 2
    assert (weight * off)[usual].max(initial=0.0) < 5e-9
    assert np.abs(x - right)[strict].max(initial=0.0) < 1e-7
    # And it is used: everywhere if odds are small, at low nodes if they are not.
    if odds == 1e-6 and sigma <= 1.0:
        assert usual.all()
    if odds == 1e-2 and sigma >= 1.5:
        assert not usual.all()


def strata(seed: int) -> tuple[Design, np.ndarray]:
    """Dyad-years with slopes by era and by stratum over most columns, and a draw of ``w``."""
    design, _ = dyads(states=9, pairs=25, years=24, columns=8, rate=0.1, seed=seed)
    rng = np.random.default_rng(seed)
    n = design.y.size
    era = (design.rows["year"].to_numpy() - 1950) * 3 // 24
    stratum = (rng.random(n) < 0.3).astype(int)

    def slopes(name: str, part: np.ndarray, parts: int, columns: np.ndarray) -> object:
        at = np.arange(columns.size) * parts + part[:, None]
        matrix = sp.csr_array(
            (design.X[:, columns].ravel(), at.ravel(), np.arange(n + 1) * columns.size),
            shape=(n, parts * columns.size),
        )
        return block(name, matrix, 0.25)

    blocks = (
        *design.blocks[:3],
        slopes("slope", era, 3, np.arange(2, 6)),
        slopes("by", stratum, 2, np.arange(0, 8)),
    )
    made = dataclasses.replace(design, blocks=blocks)
    return made, rng.normal(0, 0.3, Latent(made).size)


@pytest.mark.parametrize("chunk", [16, 2048])
@pytest.mark.parametrize("grouped", [True, False])
def test_products_with_chunks_and_parts_are_those_of_the_whole_matrix(monkeypatch, chunk, grouped):
    monkeypatch.setattr(linear_map, "_CHUNK", chunk)
    design, w = strata(5)
    if not grouped:
        design = dataclasses.replace(
            design, blocks=tuple(b for b in design.blocks if b.name != "dyad")
        )
    latent = Latent(design)
    assert (latent.group is not None) == grouped
    made = latent.rows
    # Both slope blocks are coefficients of parts: what is left are the walk and (by row) states.
    assert len(made._spread) == 6
    assert made.rest.size + made._common.size == sum(
        len(b.levels) for b in design.blocks if b.name in ("state", "era")
    )
    level = design.blocks[1].matrix.indices if grouped else np.zeros(design.y.size, int)
    order = np.argsort(level, kind="stable")
    matrices = [design.blocks[b].matrix.toarray() for b in latent.kept]
    Z = np.hstack([design.X, *matrices])[order]
    rng = np.random.default_rng(6)
    r, weight = rng.normal(size=len(Z)), rng.random(len(Z))
    np.testing.assert_allclose(made.predictor(w), Z @ w, atol=1e-12)
    np.testing.assert_allclose(made.predictor(w, np.float32), Z @ w, atol=1e-5)
    some = rng.choice(len(Z), 30, replace=False)
    np.testing.assert_allclose(made.predictor_of(some, w), (Z @ w)[some], atol=1e-12)
    np.testing.assert_allclose(made.total(some), Z[some].sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(made.transpose(r), Z.T @ r, atol=1e-11)
    np.testing.assert_allclose(made.cross(weight), Z.T @ (weight[:, None] * Z), atol=1e-11)
    groups = len(latent.start) - 1
    G = sp.csr_array((np.ones(len(Z)), (np.sort(level), np.arange(len(Z)))), (groups, len(Z)))
    np.testing.assert_allclose(made.sums(r), G @ (r[:, None] * Z), atol=1e-12)
    W = rng.normal(0, 0.3, (21, w.size))
    squares, cubes = made.powers(W, weight)
    A = Z @ W.T
    np.testing.assert_allclose(squares, (A**2).sum(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cubes, weight @ A**3, rtol=1e-3, atol=1e-3)
    sigmas = rng.uniform(0.3, 1.5, len(W))
    found = latent.log_likelihoods(W, sigmas, np.zeros(latent.levels))
    expected = [
        latent.moments(v, s, np.zeros(latent.levels)).value for v, s in zip(W, sigmas, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_draws_are_the_same_whatever_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(linear_map, "_CHUNK", 64)
    design, _ = strata(7)
    found = []
    for count in (1, 2):
        monkeypatch.setattr(linear_map, "threads", lambda count=count: count)
        found.append(sample_laplace(design, seed=np.random.SeedSequence(4), draws=40))
    one, two = found
    assert one.pareto_k == two.pareto_k
    np.testing.assert_array_equal(one.beta, two.beta)
    for name, effects in one.effects.items():
        np.testing.assert_array_equal(effects, two.effects[name])


@pytest.mark.parametrize("center", [-6.0, -1.0, 11.0])
def test_every_copy_of_a_draw_is_given_its_own_w_and_scale(center):
    latent = one_group(np.full(6, center), 0)
    w = np.array([[1.0], [3.0 if center < 0 else 0.1]])
    sigmas = np.array([1.2, 0.6])
    copies = np.arange(6000) % 2
    seeds = np.arange(2, dtype=np.uint32)
    drawn = latent.draw_group(w, sigmas, np.zeros(1), seeds, copies)[:, 0]
    grid = np.linspace(-12, 12, 20_001)
    for which in (0, 1):
        h = -6 * np.logaddexp(0, grid + center * w[which, 0]) - grid**2 / (2 * sigmas[which] ** 2)
        p = np.exp(h - h.max())
        p /= p.sum()
        mean = float(p @ grid)
        sd = float(np.sqrt(p @ (grid - mean) ** 2))
        mine = drawn[copies == which]
        assert abs(mine.mean() - mean) < 4.5 * sd / np.sqrt(mine.size)
        assert mine.std() == pytest.approx(sd, rel=0.06)
        assert np.unique(mine).size == mine.size
