"""Simulation of the years ahead: risks, onsets, and their feedback, for all dyads and draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.draws import Stream, generator
from forecast.features.arrays import allied
from forecast.parallel import in_threads
from forecast.simulation import kernels
from forecast.simulation.dynamics import Allies, Record, Track
from forecast.simulation.ending import Endings
from forecast.simulation.future import Future
from forecast.simulation.joint import Joint, sizes_on_record
from forecast.simulation.lookup import Rows, lookup
from forecast.simulation.predictor import Coefficients, Frame, Strata, simulated_terms

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.covariates import ColumnCode
    from forecast.modeling.encoding import Encoding

__all__ = ["Paths", "cumulative", "log_survival", "own_hazard", "simulate_paths"]

_BLOCK = 1024  # rows
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Paths:
    """Simulated risks of one alliance graph; entry h is of the year ``origin + 1 + h``.

    `annual` (horizon, R, D): probability that a dispute begins in the year, given the simulated
    world of the draw at the end of the year before. `hazard`: that the pair's first new dispute
    begins in the year, given that none has since the origin (one that was under way then may be, or
    may be over) and given what the draw's world did to everybody else. `onsets`: simulated onsets.
    `going`, (R, D) each: disputes open at the end of each year, as `Track.going`; with `onsets` it
    is the whole simulated world. `joint`: which of them may have begun together. `at_risk`:
    whether, in the draw's world at the end of the year before, the pair is one that the fit has
    rows of (0 or 1); only if asked for.
    """

    rows: xr.Dataset
    origin: int
    annual: Float32Array
    hazard: Float32Array
    onsets: npt.NDArray[np.bool_]
    going: Sequence[sp.csr_array]
    joint: Joint
    at_risk: Float32Array | None = None

    def cumulative(self) -> Float32Array:
        """Probability of at least one onset within the first h years, (horizon, R, D)."""
        return cumulative(self.hazard)

    def at_level(self, given: Float32Array, *, seed: int) -> Paths:
        """The same worlds, of what comes to a level of severity; probabilities as `level_within`.

        `given` (horizon, R, D): probability that an onset of the year comes to the level. `seed` is
        that of which onsets do: worlds with one seed share every random number.
        """
        annual = self.annual * given
        hazard = hazard_of(level_within(annual, self.cumulative()))
        rng = generator(seed, Stream.LEVELS_REACHED)
        rises = np.stack([rng.random(s.shape, dtype=np.float32) < s for s in given])
        return replace(self, annual=annual, hazard=hazard, onsets=self.onsets & rises)


def cumulative(hazard: Float32Array) -> Float32Array:
    """Probability of at least one onset within h years, from `Paths.hazard`; (horizon, …, D).

    1 − Π (1 − hazard): per posterior draw and simulated world, free of the noise of counting the
    pair's own simulated onsets (Rao–Blackwell).
    """
    return np.asarray(-np.expm1(log_survival(hazard)))


def level_within(chance: Float32Array, most: Float32Array) -> Float32Array:
    """Probability that an onset that comes to a level begins within h years; (horizon, …, D).

    1 − Π (1 − p s), with the probability p of an onset in each year of the draw's world, which an
    earlier and lesser dispute of the pair raises, and the share s that comes to the level (`chance`
    is p s); no more than that of any onset (`most`, as `cumulative`), which is told without the
    noise of the pair's own simulated ones.
    """
    return np.minimum(cumulative(chance), most)


def hazard_of(within: Float32Array) -> Float32Array:
    """Hazards by year of which these are the `cumulative` probabilities."""
    before = np.concatenate([np.zeros_like(within[:1]), within[:-1]])
    left = 1.0 - before
    return np.asarray(np.divide(within - before, left, out=np.ones_like(within), where=left > 0))


def log_survival(hazard: Float32Array) -> Float32Array:
    """Log probability of no onset within the first h years, as `cumulative`."""
    with np.errstate(divide="ignore"):
        return np.cumsum(np.log1p(-hazard), axis=0, dtype=np.float32)


def simulate_paths(
    fit: Fit,
    future: Future,
    record: Record,
    coefficients: Coefficients,
    endings: Endings,
    *,
    seed: int,
    keep_at_risk: bool = False,
    same: tuple[Paths, int] | None = None,
) -> Paths:
    """Step all dyads forward year by year, with feedback of simulated onsets.

    At the end of each year a pair is at peace, its dispute of the year has ended, or one is under
    way. Design columns and effects give the log-odds of an onset in the next year; a dispute under
    way goes on as its age and deaths say, beside whatever begins. What begins is under way at the
    end of its year, or over. Onsets of one state may begin together (`forecast.simulation.joint`);
    each pair's probability is the same as if they did not. Onsets enter clocks, counts and allies
    in dispute of the next year. Two graphs that are simulated with one seed share every random
    number.

    A fit whose panel has no rows of pairs with a dispute under way (``under_way`` "drop" or
    "convention") knows nothing about them: no further dispute begins beside one that is open.

    `same` gives paths of the same fit, record, draws and seed, and in how many years from the first
    on their graph is this one too: these years are taken from them.
    """
    horizon, count, draws = future.X.shape[1], record.a.size, coefficients.draws
    waits = fit.spec.under_way != "stratum"
    annual = np.empty((horizon, count, draws), dtype=np.float32)
    hazard = np.empty_like(annual)
    risky = np.ones_like(annual) if keep_at_risk else None
    going: list[sp.csr_array] = []
    real, quiet = Track.start(record), Track.start(record)
    stays = _stays(endings, record, horizon)
    under_way = _UnderWay(record, stays, np.flatnonzero(record.under_way), waits=waits)
    apart = np.zeros(count, dtype=bool)
    known, first_other = same or (None, 0)
    joint: Joint | None = known.joint if known is not None and first_other else None
    for h, ahead in enumerate(_years_ahead(fit, future, record, coefficients, real)):
        if known is not None and h < first_other:
            annual[h], hazard[h] = known.annual[h], known.hazard[h]
            if (mine := under_way.rows).size:
                under_way.hazard(ahead, ahead.frame(quiet, mine))
            going.append(known.going[h])
            real.replay(known.onsets[h], known.going[h].toarray())
            quiet.quiet_year()
            apart |= known.onsets[h].any(axis=1)
            continue
        ahead.fill(ahead.frame(real), annual[h])
        if waits:
            annual[h] *= ~real.under_way
            if risky is not None:
                risky[h] = ~real.under_way
        hazard[h] = annual[h]
        # The tracks differ only where something has begun, and what is under way may have ended.
        if (some := np.flatnonzero(apart)).size:
            hazard[h, some] = ahead.chance(ahead.frame(quiet, some), some)
        if (mine := under_way.rows).size:
            hazard[h, mine] = under_way.hazard(ahead, ahead.frame(quiet, mine))

        if joint is None:
            sides, sizes = (record.a, record.b), sizes_on_record(endings.tables, record.origin)
            joint = Joint.of(annual[h], sides, states=record.states, sizes=sizes, seed=seed)
        rng = generator(seed, Stream.ONSETS, h)
        together = (joint.numbers(seed, h), joint)
        real.step(annual[h], stays, endings.severe, rng, together)
        going.append(sp.csr_array(real.going))
        quiet.quiet_year()
        apart |= real.onsets[-1].any(axis=1)
    assert joint is not None
    return Paths(
        rows=future.rows,
        origin=record.origin,
        annual=annual,
        hazard=hazard,
        onsets=np.stack(real.onsets),
        going=going,
        joint=joint,
        at_risk=risky,
    )


def own_hazard(
    fit: Fit,
    future: Future,
    record: Record,
    coefficients: Coefficients,
    endings: Endings,
    *,
    world: Paths,
    rows: npt.NDArray[np.intp],
    first: int = 0,
) -> Float32Array:
    """Hazards of some pairs under another graph in a simulated world; (horizon, n, D).

    What everybody went through is that of `world`, of the same record and draws; design columns and
    alliances are those of `future`. No random number is drawn. In the `first` years the graph is
    that of `world`: theirs are its hazards.
    """
    hazard = np.empty((len(world.hazard), rows.size, coefficients.draws), dtype=np.float32)
    real, quiet = Track.start(record), Track.start(record)
    stays = _stays(endings, record, len(hazard))
    mine = np.flatnonzero(record.under_way[rows])
    waits = fit.spec.under_way != "stratum"
    under_way = _UnderWay(record, stays, rows[mine], waits=waits)
    for h, ahead in enumerate(_years_ahead(fit, future, record, coefficients, real)):
        if h < first:
            hazard[h] = world.hazard[h, rows]
            if mine.size:
                under_way.hazard(ahead, ahead.frame(quiet, rows[mine]))
        else:
            held = ahead.frame(quiet, rows)
            ahead.fill(held, hazard[h], rows)
            if mine.size:
                hazard[h, mine] = under_way.hazard(ahead, held.rows(mine))
        real.replay(world.onsets[h], world.going[h].toarray())
        quiet.quiet_year()
    return hazard


def _stays(endings: Endings, record: Record, horizon: int) -> Float32Array:
    return endings.stays(int(record.going.max(initial=0)) // 2 + horizon + 1)


@dataclass(frozen=True, eq=False)
class _Ahead:
    """One year ahead: what turns the state of a world into probabilities."""

    future: Future
    record: Record
    h: int
    path: npt.NDArray[np.integer]
    terms: list[ColumnCode]
    encoding: Encoding
    beta: Float64Array
    strata: Strata
    effects: Float32Array
    real: Track
    allies: Allies

    def frame(self, track: Track, at: Rows = slice(None)) -> Frame:
        """Design columns of rows on a track."""
        values = {
            code.name: lookup(code, self.record, track, self.real, self.allies, at)
            for code in self.terms
        }
        return Frame(self.encoding, self.future.X[:, self.h, at], self.path, values)

    def chance(self, frame: Frame, at: Rows, out: Float32Array | None = None) -> Float32Array:
        """Probability of an onset in rows whose design columns are given; (rows, D)."""
        log_odds = self.effects[at] + frame.log_odds(self.beta, self.strata)
        out = np.empty(log_odds.shape, dtype=np.float32) if out is None else out
        kernels.probability(log_odds, out)
        return out

    def fill(
        self, frame: Frame, out: Float32Array, rows: npt.NDArray[np.intp] | None = None
    ) -> None:
        """Fill in the probabilities of some rows or all, in blocks small enough for the cache."""

        def block(first: int) -> None:
            at = slice(first, first + _BLOCK)
            self.chance(frame.rows(at), at if rows is None else rows[at], out[at])

        in_threads(block, [(first,) for first in range(0, len(out), _BLOCK)])


def _years_ahead(
    fit: Fit, future: Future, record: Record, coefficients: Coefficients, real: Track
) -> Iterator[_Ahead]:
    """The years ahead one by one; `real`, what everybody went through, moves on between them."""
    draws, count = coefficients.draws, record.a.size
    ties = allied(future.world)
    years = future.world["year"].to_numpy()
    terms = simulated_terms(fit.encoding)
    strata = coefficients.strata()
    for h in range(future.X.shape[1]):
        year = record.origin + 1 + h
        rows = future.rows.assign_coords(year=("row", np.full(count, year)))
        effects = np.zeros((count, draws), dtype=np.float32)
        for effect in coefficients.effects(rows).values():
            effects += effect
        now = ties[int(np.searchsorted(years, year - 1))]
        yield _Ahead(
            future=future,
            record=record,
            h=h,
            path=np.arange(draws) % future.X.shape[0],
            terms=terms,
            encoding=fit.encoding,
            beta=coefficients.at(year),
            strata=strata,
            effects=effects,
            real=real,
            allies=Allies.of(record, now, real.active, first=h == 0),
        )


class _UnderWay:
    """First further onset of pairs with a dispute under way at the origin.

    The dispute goes on or ends in each year; summing over the year in which it ended, instead of
    simulating it, keeps the probability a smooth function of each posterior draw.
    """

    def __init__(
        self, record: Record, stays: Float32Array, rows: npt.NDArray[np.intp], *, waits: bool
    ) -> None:
        self.rows = rows
        self._code, self._table, self._waits = record.going[self.rows], stays, waits
        # Probability of no onset so far and the dispute open, or over for so many years.
        self._open = np.ones((self.rows.size, stays.shape[1]), dtype=np.float32)
        self._over: list[Float32Array] = []

    def hazard(self, ahead: _Ahead, frame: Frame) -> Float32Array:
        """Hazard of the first further onset in the next year, (rows, D).

        `frame` has the design columns of the rows, their dispute open and no other one begun.
        """

        def risk(frame: Frame) -> Float32Array:
            return ahead.chance(frame, self.rows)

        before = self._open + sum(self._over)
        if not self._waits:
            self._open *= 1.0 - risk(frame)
        self._over = [none * (1.0 - risk(frame.at_peace(j))) for j, none in enumerate(self._over)]
        none = self._open + sum(self._over)
        hazard = 1.0 - np.divide(none, before, out=np.zeros_like(none), where=before > 0)
        goes_on = self._table[self._code]
        self._over = [self._open * (1.0 - goes_on), *self._over]
        self._open *= goes_on
        self._code = self._code + 2
        return np.asarray(hazard)
