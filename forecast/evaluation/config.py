"""The file of a backtest that is run again and again unchanged: ``benchmarks/skill.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from forecast.errors import CoverageError
from forecast.modeling.messages import read_toml, validated
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.events import UnderWay
from forecast.panel.types import Panel

__all__ = ["Origins", "Period", "SkillConfig"]

_Years = Annotated[int, Field(strict=True, ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Origins(_Table):
    """Years that are forecast: from `first` to `last`, or to the last year of the record."""

    first: StrictInt
    last: StrictInt | Literal["latest"] = "latest"
    step: _Years = 1


class Period(_Table):
    """A span of target years with a part of the table of its own; without `last` it is open."""

    name: Annotated[str, Field(strict=True, min_length=1)]
    first: StrictInt
    last: StrictInt | None = None

    @property
    def label(self) -> str:
        """Name and years."""
        return f"{self.name} ({self.first}–{'' if self.last is None else self.last})"


class SkillConfig(_Table):
    """Everything that decides the numbers of a backtest, but the panel.

    Attributes are the keys of the file; ``[origins]`` is a table, ``[[period]]`` an array of
    tables. `under_way` is that of the panel whose rows are scored; by default that of the model.
    See `forecast.evaluation.backtest.backtest` for the meaning of the others.
    """

    model: StrictStr
    baselines: tuple[StrictStr, ...]
    method: Literal["laplace", "nuts"] = "laplace"
    seed: Annotated[int, Field(strict=True, ge=0)]
    draws: Annotated[int, Field(strict=True, ge=100)] = 500
    level: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.9
    resamples: Annotated[int, Field(strict=True, ge=100)] = 1000
    horizons: Annotated[tuple[_Years, ...], Field(min_length=1)] = (1,)
    refit: _Years = 1
    window: _Years | None = None
    multi_step: Literal["simulate", "direct"] = "simulate"
    recalibrate: _Years | None = None
    stack: tuple[StrictStr, ...] = ()
    warm_up: Annotated[int, Field(strict=True, ge=0)] = 0
    nuts_at: tuple[StrictInt, ...] = ()
    nuts_draws: Annotated[int, Field(strict=True, ge=100)] = 500
    under_way: UnderWay | None = None
    origins: Origins
    periods: tuple[Period, ...] = Field(default=(), alias="period")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, source: str = "config") -> Self:
        """Validate a mapping as read from TOML.

        Raises
        ------
        SpecificationError
            For every unknown key and wrong value, with the nearest valid key.
        """
        return validated(cls, content, source)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a file.

        Raises
        ------
        MissingFileError, SpecificationError
            The file is not there, not TOML, or has an unknown key or a wrong value.
        """
        path = Path(path)
        found = cls.from_dict(read_toml(path, "configuration"), source=str(path))
        # model files that are named in the file are looked up beside it
        beside = {
            "model": _beside(found.model, path.parent),
            "baselines": tuple(_beside(name, path.parent) for name in found.baselines),
        }
        return found.model_copy(update=beside)

    def spec(self) -> ModelSpec:
        """The model under test."""
        return load_model(self.model)

    def years(self, panel: Panel) -> tuple[int, ...]:
        """Origins on a panel: to its last year with a known outcome, if that is asked for.

        Raises
        ------
        CoverageError
            No year of the panel is among them.
        """
        year = panel.data["year"].to_numpy()[np.isfinite(panel.data["outcome"].to_numpy())]
        latest = int(year.max()) if year.size else self.origins.first - 1
        last = latest if self.origins.last == "latest" else self.origins.last
        found = tuple(range(self.origins.first, last + 1, self.origins.step))
        if not found:
            raise CoverageError(
                f"origins.first = {self.origins.first}: the outcomes of this panel end in {latest}."
            )
        return found

    def options(self) -> dict[str, Any]:
        """Arguments of `backtest` but model, panel and origins."""
        names = (
            "baselines", "method", "seed", "draws", "level", "resamples", "horizons", "refit",
            "window", "multi_step", "recalibrate", "stack", "warm_up", "nuts_at", "nuts_draws",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


def _beside(name: str, folder: Path) -> str:
    kind, colon, file = name.rpartition(":")
    path = Path(file)
    if path.suffix != ".toml" or path.is_absolute():
        return name
    return f"{kind}{colon}{folder / path}"
