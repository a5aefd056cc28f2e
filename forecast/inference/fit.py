"""`fit`: a model and a panel in, a posterior with its diagnostics out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy.typing as npt
import xarray as xr

from forecast.cards import Card, Carded
from forecast.errors import GateRefusedError, wrong_type
from forecast.files import SCHEMA_VERSION
from forecast.inference.diagnostics import (
    GATE,
    Diagnostics,
    GateResult,
    Thresholds,
    gate,
    peak_memory_mb,
)
from forecast.inference.identity import fit_id, rows_fingerprint
from forecast.inference.sampling import (
    Method,
    NutsOptions,
    Tell,
    checked_options,
    refuse_horseshoe,
    sample_design,
)
from forecast.inference.warm_start import WarmStart
from forecast.modeling.design import encode
from forecast.modeling.encoding import Encoding
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.from_frame import as_panel
from forecast.panel.types import Panel
from forecast.sources.tables import vintage_words

if TYPE_CHECKING:
    import pandas as pd

    from forecast.evaluation.calibration_record import CalibrationRecord

__all__ = [
    "GATE", "Diagnostics", "Fit", "GateResult", "Thresholds", "as_fit", "fit", "gate",
]  # fmt: skip

_PACKAGES = ("alliance-forecast", "numpy", "scipy", "numba", "xarray", "arviz", "pymc", "nutpie")


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Carded):
    """A posterior with everything that is needed to judge it and to predict from it.

    Attributes
    ----------
    id : str
        SHA-256 over specification, data, method, seed, draws and schema version.
    spec : ModelSpec
        Specification.
    encoding : Encoding
        How rows were encoded; new rows are encoded the same way.
    panel : Panel
        The rows.
    posterior : xarray.DataTree
        Groups ``posterior`` (``beta`` (chain, draw, term), ``sigma_<block>`` (chain, draw),
        ``effect_<block>`` (chain, draw, level_<block>)), ``sample_stats`` and
        ``observed_data``. Laplace has one chain, and a group ``outline`` from which a later fit
        may start (`forecast.inference.warm_start`).
    diagnostics : Diagnostics
        How far the draws can be trusted.
    method : {"laplace", "nuts"}
    seed : int
    versions : dict of str to str
        Packages that the numbers depend on.
    record : CalibrationRecord or None
        How forecasts of this specification did out of sample; not part of the id, since it is
        learnt after the fit. Attach one with `dataclasses.replace`; the store keeps it.
    """

    id: str
    spec: ModelSpec
    encoding: Encoding
    panel: Panel
    posterior: xr.DataTree
    diagnostics: Diagnostics
    method: Method
    seed: int
    versions: dict[str, str]
    record: CalibrationRecord | None = None

    @property
    def draws(self) -> int:
        """Posterior draws, of all chains together."""
        sizes = self.posterior["posterior"].sizes
        return int(sizes["chain"] * sizes["draw"])

    def gate(self, thresholds: Thresholds = GATE) -> GateResult:
        """Whether the fit may be published."""
        return gate(self.diagnostics, thresholds)

    def require_passed(self, thresholds: Thresholds = GATE) -> Fit:
        """The fit itself, when it may be published.

        Raises
        ------
        GateRefusedError
            A threshold was missed; says which and what to try.
        """
        result = self.gate(thresholds)
        if not result.passed:
            raise GateRefusedError(
                f"The fit {self.id[:12]} of model {self.spec.name!r} ({self.method}) is not fit "
                "for publication:\n- " + "\n- ".join(result.failures)
            )
        return self

    def summary(self, *, level: float = 0.9) -> pd.DataFrame:
        """What the fit found: coefficients, slopes by era or stratum, and scales, in one table.

        Parameters
        ----------
        level : float
            Probability of the equal-tailed intervals.

        Returns
        -------
        pandas.DataFrame
            By ``name``, in words: posterior ``mean``, ``sd``, ``lower``, ``upper``; ``positive``,
            the probability of being above zero; ``prior``; ``kind``: a ``coefficient`` (log-odds
            of the outcome from 0 to 1 of a binary input, over two standard deviations of any
            other), a ``slope`` (a coefficient in one era, step or stratum: common plus its own
            part) or a ``scale`` (standard deviation of a group of effects); ``term`` and
            ``column`` of the design, or the group of effects; ``family``; ``era`` and ``years`` of
            slopes; ``interval``, ``level``.

        Raises
        ------
        ArgumentError
            A level that is no probability.
        """
        from forecast.inference.summary import summary_table

        return summary_table(self, level)

    def warm_start(self) -> WarmStart:
        """What a later fit of the same model may begin with."""
        return WarmStart.of(self)

    def to_datatree(
        self,
        groups: str | Sequence[str] | None = None,
        *,
        by: str | npt.ArrayLike = "row",
        draws: int | None = None,
        seed: int | None = None,
    ) -> xr.DataTree:
        """The fit with the groups that ArviZ works on, for every function of it.

        Parameters
        ----------
        groups : str or sequence of str, optional
            Of ``posterior``, ``sample_stats``, ``observed_data`` (these three are always there),
            ``constant_data``, ``prior``, ``log_prior``, ``log_likelihood``,
            ``posterior_predictive``, ``prior_predictive``, or ``"all"``. By default all but the
            last three, which hold a number for each draw and row and are made when asked for.
        by : str or array of labels
            What is one observation: ``"row"``; ``"pair"`` (of a state panel ``"state"``),
            ``"year"``, ``"decade"``, another column of the panel, or a label for each of its rows,
            whose rows are taken together. `arviz.loo` then leaves out a whole pair or year.
        draws : int, optional
            At most so many, evenly spaced in each chain; all by default.
        seed : int, optional
            Of replicated outcomes and prior draws; that of the fit by default.

        Returns
        -------
        xarray.DataTree
            Dims ``chain`` and ``draw``, and `by`, whose labels have the names of the states (in
            the year of the row; of a pair, in its last); beside them ``year`` and ``ccode_a``,
            ``ccode_b`` (or ``ccode``). ``outcome`` is of each row 0 or 1 (int8), of a block the
            number of onsets (int32); its log likelihood is float32. ``constant_data``: the terms of
            the model, before they are standardised; of blocks, how many rows they have.

        Raises
        ------
        ArgumentError, UnknownNameError
            An option cannot be used; more rows times draws than memory holds.

        Notes
        -----
        Where every block has an effect of its own (a pair, with effects of pairs), the log
        likelihood has it integrated out by quadrature: what is left out is forecast as a pair that
        was never seen. Otherwise all effects are as drawn, and log likelihoods are summed over the
        block; the attributes of ``log_likelihood`` say which (``meaning``). ``log_prior`` is that
        of coefficients and scales.
        """
        from forecast.inference.datatree import datatree

        return datatree(self, groups, by=by, draws=draws, seed=seed)

    def card(self) -> Card:
        """What was fitted to which rows, how, and whether it may be published."""
        about, found = self.to_dict(), self.diagnostics
        posterior, panel = self.posterior["posterior"], about["panel"]
        effects = [
            f"{n.removeprefix('level_')} ({size:,})"
            for n, size in ((str(dim), size) for dim, size in posterior.sizes.items())
            if n.startswith("level_")
        ]
        first, last = self.encoding.years
        onsets = int(self.posterior["observed_data"]["outcome"].sum())
        chains = f"{about['chains']} chains of " if about["chains"] > 1 else ""
        measured = {
            "R-hat at most": found.max_rhat,
            "effective draws at least": round(found.min_ess_bulk),
            "divergences": found.divergences,
            "Pareto k": found.pareto_k,
        }
        told = ", ".join(f"{n} {v:.3g}" for n, v in measured.items() if v is not None)
        gate = about["gate"]
        checks = [(True, f"Passes the publication gate: {told}.")] if gate["passed"] else [
            (False, str(failure)) for failure in gate["failures"]]  # fmt: skip
        record = "none yet: a backtest makes one (forecast run does)"
        if self.record is not None:
            record = f"{self.record.years}, {self.record.rows:,} rows, {self.record.events} onsets"
        facts = [
            ("model", f"{self.spec.outcome} of {self.spec.unit}s ({panel['population']}): "
             f"{posterior.sizes['term']} coefficients, effects of {', '.join(effects) or '–'}"),
            ("rows", f"{about['rows']:,}, {first}–{last}, {onsets:,} with the outcome"),
            ("method", f"{self.method}, {chains}{about['draws']:,} draws, seed {self.seed}, "
             f"{found.wall_seconds:.3g} s"),
            ("record", f"out of sample: {record}"),
            ("data", vintage_words(panel["data"], panel["coverage"])),
        ]  # fmt: skip
        return Card(f"Fit {self.id[:12]} of {self.spec.name}", facts, checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain description for JSON, without draws and rows."""
        result = self.gate()
        draws = self.posterior["posterior"].sizes
        return {
            "id": self.id,
            "model": self.spec.name,
            "method": self.method,
            "seed": self.seed,
            "chains": int(draws["chain"]),
            "draws": int(draws["draw"]),
            "diagnostics": self.diagnostics.to_dict(),
            "gate": {"passed": result.passed, "failures": list(result.failures)},
            "panel": self.panel.to_dict(),
            "rows": self.encoding.rows,
            "versions": self.versions,
        }


def fit(
    model: ModelSpec | str | Path,
    panel: Panel | pd.DataFrame,
    *,
    method: Method = "laplace",
    seed: int,
    draws: int = 1000,
    progress: bool = False,
    warm_start: Fit | WarmStart | None = None,
    workers: int = 1,
    client: Any = None,
    **nuts: Unpack[NutsOptions],
) -> Fit:
    """Fit a model to a panel.

    Parameters
    ----------
    model : ModelSpec, str or Path
        Specification, its name or its file. ``load_model("dyad_onset").under("deterrence")`` is a
        model with the priors of a theory (`forecast.modeling.theory`).
    panel : Panel or pandas.DataFrame
        Rows; features that it lacks are computed from its world. A frame with the keys and outcome
        of a panel (`Panel.to_dataframe`) is one; others: `forecast.panel_from_frame`.
    method : {"laplace", "nuts"}
        ``nuts`` is the reference; ``laplace`` (nested Laplace, importance-resampled) takes seconds
        and reports with Pareto k whether it can be trusted.
    seed : int
        The same seed, inputs, versions and kind of machine give the same draws.
    draws : int
        Posterior draws; for NUTS per chain.
    progress : bool
        Show a progress bar (on a terminal or in a notebook).
    warm_start : Fit or WarmStart, optional
        A fit of the same model, e.g. of one year less, or what it left (`Fit.warm_start`): the
        search begins with it. It changes the random draws, so it is part of the id.
    workers : int
        NUTS only: processes among which the chains are divided; with 1, they are threads of this
        process, one a core. Laplace uses all cores of this process.
    client : dask.distributed.Client, optional
        A cluster on which to sample the same draws: each chain is a task, a Laplace fit is one.
    **nuts
        Of NUTS only: ``chains=4``, ``tune=1000``, and ``store``, a folder that does not exist yet
        (on a cluster, one that its workers see), to which draws go while they are made (Zarr) and
        from which the posterior reads them; `nuts_store.open_draws` reads an interrupted run.

    Returns
    -------
    Fit

    Raises
    ------
    ArgumentError, UnknownNameError
        An option cannot be used, or is none.
    DataError, SpecificationError
        The panel does not fit the specification; no row, no onset, or nothing but onsets.
    """
    started = time.perf_counter()
    spec, panel = load_model(model), as_panel(panel, "fit(model, panel)")
    warm = warm_start.warm_start() if isinstance(warm_start, Fit) else warm_start
    options = checked_options(nuts, method=method, seed=seed, draws=draws, workers=workers)
    refuse_horseshoe(method, {g.block: g.scale.distribution for g in spec.varying})
    begun_from = None if warm is None else warm.id
    identity = fit_id(
        spec, rows_fingerprint(panel), method, seed, draws, SCHEMA_VERSION,
        chains=options["chains"], tune=options["tune"], warm_start=begun_from,
    )  # fmt: skip
    with _progress(progress, f"{spec.name} ({method})") as report:
        if report is not None:
            report("encoding", 0.0)
        design, encoding = encode(spec, panel)
        posterior, found = sample_design(
            design, method=method, seed=seed, draws=draws, report=report,
            start=None if warm is None else warm.begin(design),
            workers=workers, client=client, **options,
        )  # fmt: skip
    posterior.attrs |= {"fit_id": identity, "model": spec.name, "method": method, "seed": seed}
    # What else the id was made of, so that an opened artifact can be held against it.
    posterior.attrs |= {"tune": options["tune"], "warm_start": begun_from or ""}
    seconds, memory = time.perf_counter() - started, peak_memory_mb()
    diagnostics = Diagnostics(wall_seconds=seconds, peak_memory_mb=memory, **found)
    packages = {name: version(name) for name in _PACKAGES}
    return Fit(identity, spec, encoding, panel, posterior, diagnostics, method, seed, packages)


def as_fit(given: object, where: str) -> Fit:
    """A fit as it is; anything else, such as rows that are not fitted yet, is an ArgumentError."""
    if isinstance(given, Fit):
        return given
    raise wrong_type(
        where,
        given,
        "a Fit: fit = forecast.fit(model, panel, seed=1); a panel of a frame is made by "
        "forecast.panel_from_frame.",
    )


@contextmanager
def _progress(show: bool, title: str) -> Iterator[Tell | None]:
    """A function that moves a progress bar, or None."""
    if not show:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with warnings.catch_warnings():
        # rich asks for ipywidgets in a notebook; it falls back to text by itself.
        warnings.filterwarnings("ignore", message="install .*ipywidgets", category=UserWarning)
        with Progress(*columns, transient=True) as bar:
            task = bar.add_task(title, total=1.0)

            def report(what: str, share: float) -> None:
                bar.update(task, description=f"{title}: {what}", completed=share)

            yield report
