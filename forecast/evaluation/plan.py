"""The plan of a backtest: the argument, the TOML file and the saved identity are one object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StrictStr,
    ValidationError,
    model_validator,
)  # fmt: skip

from forecast.documents import Table, Year, explain, read_toml, toml_text
from forecast.draws import SEEDS
from forecast.errors import (
    ArgumentError,
    CoverageError,
    SpecificationError,
    UnknownNameError,
    shown,
)
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.forecasters import (
    WITHOUT_ALLIANCES,
    Forecaster,
    ModelForecaster,
    comparison,
    identity,
)
from forecast.evaluation.score_table import REFERENCE
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.events import UnderWay
from forecast.panel.types import CHOICES, Panel

__all__ = ["CHECK", "DEFAULT_BASELINES", "BacktestPlan", "Origins", "Period"]

DEFAULT_BASELINES = ("climatology", "conflictology", "peace_years", "history", WITHOUT_ALLIANCES)
"""What a model is compared with."""

CHECK = " (NUTS)"
"""Ending of the name of the model's check by NUTS."""


def _ascending(years: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(years)))


#: More than there are years of four digits.
_MOST_YEARS = 10_000


def _listed(value: Any) -> Any:
    """A range, an array or a generator of years as a list."""
    if isinstance(value, range) and value and abs(value[-1] - value[0]) > _MOST_YEARS:
        return [value[0], value[-1]]  # one of them is no year, as the error says
    return value if isinstance(value, str | Mapping) or not np.iterable(value) else list(value)


def _whole(value: Any) -> Any:
    """Integers of numpy as Python's."""
    return int(value) if isinstance(value, np.integer) else value


_Whole = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
_Count = Annotated[_Whole, Field(ge=1, le=1_000_000_000)]
#: Of years: a count of more is a slip, and a range of them takes gigabytes.
_Span = Annotated[_Whole, Field(ge=1, le=9999)]
_Year = Annotated[Year, BeforeValidator(_whole)]
_Ahead = Annotated[_Whole, Field(ge=1, le=100)]
_Years = Annotated[tuple[_Year, ...], BeforeValidator(_listed), AfterValidator(_ascending)]


def _in_order(first: int | None, last: int | str | None) -> None:
    if first is not None and isinstance(last, int) and first > last:
        raise ValueError(f"first = {first} is after last = {last}")


class Origins(Table):
    """First years that are not known: from `first` to `last` (or the record's end), or `years`.

    A plan takes any iterable of years for it, such as ``range(2006, 2026)``.
    """

    first: _Year | None = None
    last: _Year | Literal["latest"] = "latest"
    step: _Span = 1
    years: _Years | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_table(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | cls) else {"years": value}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.years is None and self.first is None:
            raise ValueError("the key 'first' is missing")
        if self.years is not None and self.first is not None:
            raise ValueError("expected 'first' or 'years', found both")
        if self.years == ():
            raise ValueError("`origins` is empty.")
        _in_order(self.first, self.last)
        return self


class Period(Table):
    """A span of target years with a part of the table of its own; without `last` it is open."""

    name: Annotated[str, Field(strict=True, min_length=1, max_length=200)]
    first: Year
    last: Year | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _in_order(self.first, self.last)
        return self

    @property
    def label(self) -> str:
        """Name and years."""
        return f"{self.name} ({self.first}–{'' if self.last is None else self.last})"


def _method(value: Any) -> str | ModelSpec | Forecaster:
    """A name, a specification, or what can be fitted."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str | ModelSpec) or all(hasattr(value, n) for n in ("columns", "fit")):
        return value  # type: ignore[no-any-return]
    raise ValueError(
        f"expected a name, file, specification or method with `fit`; found {shown(value)}"
    )


_Method = Annotated[Any, PlainValidator(_method)]
_Methods = Annotated[tuple[_Method, ...], Field(strict=False)]


class BacktestPlan(Table):
    """Everything that decides the numbers of a backtest, but the panel.

    Frozen. Attributes are the keys of the TOML file that `from_toml` reads, such as
    ``benchmarks/skill.toml``.

    Attributes
    ----------
    model : str, Path, ModelSpec or Forecaster
        The model under test, by name, file or specification, or any method.
    origins : Origins or iterable of int
        First years that are not known; in a file a list, or a table with ``first``, ``last``
        (``"latest"``: the last year of the panel with a known outcome) and ``step``.
    horizons : iterable of int
        Years ahead; horizon 1 is the origin's own year. Each is scored on its own. Steps beyond
        the last known outcome are left out and listed in the `settings` of the result.
    seed : int
        One seed; children are spawned by horizon, origin and name of the method.
    method : {"laplace", "nuts"}
        Inference of every fit.
    draws : int
        Posterior draws of each fit (NUTS: of each chain).
    baselines : sequence of str, Path, ModelSpec or Forecaster
        Names in `forecast.evaluation.baselines.BASELINES`, other models, or any object with the
        protocol; see `forecast.evaluation.forecasters.comparison`. Climatology is always run:
        skill is measured against it.
    level : float
        Probability of all intervals.
    resamples : int
        Bootstrap resamples of the paired differences.
    window : int, optional
        Learn from so many years before the origin only (sliding); all by default (expanding).
    refit : int
        Refit at the first origin and every `refit` years after it; an origin between uses the
        last fit before it, with features of the year before the origin.
    multi_step : {"simulate", "direct"}
        How models forecast beyond horizon 1: simulated year by year with feedback of simulated
        onsets, or fitted anew to features that are older by as much. Baselines are direct.
    recalibrate : int, optional
        Also score every method recalibrated by logistic regression on its own forecasts of so
        many years before each origin (``"<name>, recalibrated"``, beside the raw ones).
    stack : sequence of str
        Also score the model stacked with these of the baselines: a logistic pool whose weights
        are learnt at each origin from all forecasts of the years before it. Intervals and draws
        are the model's, moved.
    warm_up : int
        Origins of so many years before the first are forecast too, for recalibration to learn
        from; they are not scored.
    nuts_at : iterable of int
        Origins at which NUTS fits the model too, as a check of `method`.
    nuts_draws : int
        Its draws of each of four chains.
    under_way : {"stratum", "drop", "convention"}, optional
        Which rows with a dispute under way on 1 January are scored, where the panel is loaded for
        the plan; by default those of the model.
    periods : sequence of Period
        Spans of target years with a part of their own in the skill table; ``[[period]]`` in a
        file.

    Raises
    ------
    SpecificationError
        For every unknown key and wrong value, with the nearest valid key.
    """

    model: _Method
    origins: Origins
    seed: Annotated[_Whole, Field(ge=0, le=SEEDS)]
    horizons: Annotated[
        tuple[_Ahead, ...],
        Field(min_length=1),
        BeforeValidator(_listed),
        AfterValidator(_ascending),
    ] = (1,)
    method: Literal["laplace", "nuts"] = "laplace"
    draws: _Count = 500
    baselines: _Methods = DEFAULT_BASELINES
    level: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.9
    resamples: Annotated[_Count, Field(le=10_000_000)] = 1000
    window: _Span | None = None
    refit: _Span = 1
    multi_step: Literal["simulate", "direct"] = "simulate"
    recalibrate: _Span | None = None
    stack: tuple[StrictStr, ...] = ()
    warm_up: Annotated[_Whole, Field(ge=0, le=1000)] = 0
    nuts_at: _Years = ()
    nuts_draws: _Count = 500
    under_way: UnderWay | None = None
    periods: tuple[Period, ...] = Field(default=(), alias="period")

    def __init__(self, source: str = "plan", /, **content: Any) -> None:
        try:
            super().__init__(**content)
        except ValidationError as error:
            raise SpecificationError(explain(error, content, type(self), source)) from None

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a file; model files that are named in it are looked up beside it.

        Raises
        ------
        MissingFileError, SpecificationError
            The file is not there, not TOML, or has an unknown key or a wrong value.
        """
        path = Path(path)
        found = cls(str(path), **read_toml(path, "configuration file"))
        beside = {
            "model": _beside(found.model, path.parent),
            "baselines": tuple(_beside(name, path.parent) for name in found.baselines),
        }
        return found.model_copy(update=beside)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by key; a method without a name that a file could give as what it is."""
        plain = self.model_dump(exclude={"model", "baselines"}, exclude_none=True, by_alias=True)
        plain |= {"model": _named(self.model), "baselines": list(map(_named, self.baselines))}
        if self.origins.years is not None:
            plain["origins"] = self.origins.years
        return json.loads(json.dumps(plain))  # type: ignore[no-any-return]

    def to_toml(self) -> str:
        """The text of a file from which `from_toml` reads this plan.

        Raises
        ------
        ArgumentError
            The model or a baseline is an object that no name or file stands for.
        """
        plain = self.to_dict()
        for about in (plain["model"], *plain["baselines"]):
            if not isinstance(about, str):
                raise ArgumentError(
                    f"{about['name']!r} has no file to name in TOML; save it first."
                )
        return toml_text(plain)

    @property
    def sha256(self) -> str:
        """Hash of the content."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def spec(self) -> ModelSpec:
        """The model under test."""
        return load_model(self.model)

    def panel(self, data: str | Path = "embedded") -> Panel:
        """Panel of a data set with the rows that the model, or `under_way`, asks for."""
        from forecast.panel.build import load_panel

        spec = self.spec()
        options = {name: getattr(spec, name) for name in CHOICES}
        rule = {} if self.under_way is None else {"under_way": self.under_way}
        return load_panel(data=data, **(options | rule))

    def years(self, panel: Panel) -> tuple[int, ...]:
        """Origins on a panel: to its last year with a known outcome, if that is asked for.

        Raises
        ------
        CoverageError
            No year of the panel is among them.
        ArgumentError
            `nuts_at` has a year that is none of them.
        """
        found = self._years(panel) if self.origins.years is None else self.origins.years
        if strange := [o for o in self.nuts_at if o not in found]:
            raise ArgumentError(f"nuts_at={strange}: expected some of the origins.")
        return found

    def _years(self, panel: Panel) -> tuple[int, ...]:
        first = self.origins.first
        assert first is not None
        year = panel.data["year"].to_numpy()[np.isfinite(panel.data["outcome"].to_numpy())]
        latest = int(year.max()) if year.size else first - 1
        last = latest if self.origins.last == "latest" else self.origins.last
        found = tuple(range(first, last + 1, self.origins.step))
        if not found:
            raise CoverageError(
                f"origins.first = {first}: the outcomes of this panel end in {latest}."
            )
        return found

    def methods(self) -> list[Forecaster]:
        """The model under test, what it is compared with, and last its check by NUTS, if any."""
        subject: Forecaster = (
            ModelForecaster(load_model(self.model), self.method, self.draws)
            if isinstance(self.model, str | ModelSpec)
            else self.model
        )
        name = subject.name
        # by name: a method of the caller's own need not be hashable
        others = {m.name: m for m in (comparison(b, subject) for b in self.baselines)}
        if name in others:
            raise ArgumentError(f"Two methods have the same name: {[name, *others]}.")
        if name != REFERENCE:
            others.setdefault(REFERENCE, BASELINES[REFERENCE])
        for member in self.stack:
            if member not in others:
                raise UnknownNameError("method to stack", member, others, "Expected a baseline.")
        found = [subject, *others.values()]
        if self.nuts_at:
            if not isinstance(subject, ModelForecaster):
                raise ArgumentError(f"nuts_at: {name!r} is no model that NUTS could fit.")
            label = f"{name}{CHECK}"
            found.append(replace(subject, method="nuts", draws=self.nuts_draws, label=label))
        return found

    def identity(self, panel: Panel) -> dict[str, Any]:
        """What the row-level forecasts depend on: a run folder belongs to one such content."""
        from importlib.metadata import version

        from forecast.inference.identity import rows_fingerprint

        origins = self.years(panel)
        return {
            "version": version("alliance-forecast"),
            "panel": rows_fingerprint(panel),
            "methods": [identity(method) for method in self.methods()],
            "origins": [*range(origins[0] - self.warm_up, origins[0]), *origins],
            "horizons": list(self.horizons),
            "seed": self.seed,
            "level": self.level,
            "window": self.window,
            "refit": self.refit,
            "multi_step": self.multi_step,
            "nuts_at": list(self.nuts_at),
        }


def _named(method: str | ModelSpec | Forecaster) -> str | dict[str, Any]:
    """The name or file of a method; of an object, what tells it from others."""
    if isinstance(method, str):
        return method
    if isinstance(method, ModelSpec):
        return {"name": method.name, "sha256": method.sha256}
    return method.name if BASELINES.get(method.name) == method else identity(method)


def _beside(name: str, folder: Path) -> str:
    kind, colon, file = name.rpartition(":")
    path = Path(file)
    if path.suffix != ".toml" or path.is_absolute():
        return name
    return f"{kind}{colon}{folder / path}"
