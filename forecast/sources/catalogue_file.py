"""The catalogue of official sources, as its file ``data/catalogue.toml`` has it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from forecast.errors import (
    ArgumentError,
    MissingFileError,
    SpecificationError,
    UnknownNameError,
    nearest,
)
from forecast.paths import data_folder
from forecast.sources.entries import Citation, Download, Entry, Licence, Name, OfficialFile, Source
from forecast.sources.families import families, unlisted_release

__all__ = ["Catalogue", "catalogue", "load_catalogue", "years_of"]

CATALOGUE = "catalogue.toml"


class Catalogue(Entry):
    """Every source that the library knows; a release of a known family is read by its layout.

    Attributes
    ----------
    facts : mapping of str to tuple of str
        For each kind of fact the sources that provide it, in the order of preference.
    sources, licences, citations : mapping
        Entries by key.
    """

    facts: dict[Name, Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]]
    sources: dict[Name, Source]
    licences: dict[Name, Licence]
    citations: dict[Name, Citation]

    @model_validator(mode="after")
    def _references(self) -> Self:
        for key, source in self.sources.items():
            _known(f"sources.{key}.licence", (source.licence,), self.licences)
            _known(f"sources.{key}.cite", source.cite, self.citations)
            if source.covers is None or source.layout_of:
                raise ValueError(f"sources.{key}: covers is needed, and layout_of is not its own.")
        for fact, sources in self.facts.items():
            _known(f"facts.{fact}", sources, self.sources)
            for key in sources:
                if fact not in self.sources[key].provides:
                    raise ValueError(f"facts.{fact}: {key} does not provide {fact}.")
        return self

    def __getitem__(self, name: str) -> Source:
        """Source with this key; for a release that is not listed, by the layout of its family.

        Raises
        ------
        UnknownNameError
            No such source; names the nearest.
        """
        if name in self.sources:
            return self.sources[name]
        if (unlisted := unlisted_release(name, self.sources)) is not None:
            return unlisted
        detail = "`forecast data list` shows them all."
        if listed := families(self.sources).get(name):
            detail = (
                f"{name} is the family of {', '.join(listed)}; `forecast data get {name} --from"
                " FILE` takes any release of it."
            )
        raise UnknownNameError("source", name, self.sources, detail)

    def __contains__(self, name: object) -> bool:
        """Whether there is a source with this key, listed or of a known family."""
        return name in self.sources or unlisted_release(str(name), self.sources) is not None

    def to_markdown(self) -> str:
        """Table of the sources, for the documentation."""
        lines = [
            "| source | what | release | years | kinds of fact | terms | how |",
            "|---|---|---|---|---|---|---|",
        ]
        for key, source in self.sources.items():
            how = "download" if source.can_be_downloaded else "bring a copy"
            cells = (
                f"`{key}`",
                f"[{source.title}]({source.landing})",
                source.release,
                years_of(source),
                ", ".join(source.provides),
                self.licences[source.licence].name,
                f"{how}. {source.note}" if source.note else how,
            )
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)

    def refuse_unless_provided(self, fact: str, source: str) -> None:
        """Raise if a source that was chosen for a kind of fact is not one of it.

        Raises
        ------
        UnknownNameError, ArgumentError
            No such source, or it provides other kinds of fact; names the sources of this one.
        """
        if fact not in self[source].provides:
            raise ArgumentError(
                f"sources[{fact!r}]={source!r}: this source provides "
                f"{', '.join(self[source].provides)}. Sources of {fact}: "
                f"{', '.join(self.preferred(fact))}."
            )

    def preferred(self, fact: str) -> tuple[str, ...]:
        """Sources of a kind of fact, in the order of preference.

        Raises
        ------
        UnknownNameError
            No such kind of fact; names the nearest.
        """
        if fact not in self.facts:
            raise UnknownNameError("kind of fact", fact, self.facts)
        return self.facts[fact]


def _known(where: str, keys: tuple[str, ...], entries: Mapping[str, object]) -> None:
    for key in keys:
        if key not in entries:
            near = nearest(key, entries)
            raise ValueError(
                f"{where}: unknown {key!r}." + (f" Did you mean {near!r}?" if near else "")
            )


def load_catalogue(path: Path) -> Catalogue:
    """Catalogue in a TOML file.

    Raises
    ------
    MissingFileError
        There is no such file.
    SpecificationError
        It is not TOML, or an entry is malformed; names the key and the nearest valid one.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(
            f"There is no catalogue {path}. Reinstall alliance-forecast, or correct"
            " FORECAST_CATALOGUE."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecificationError(f"{path.name}: {error}.") from None
    try:
        return Catalogue.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        lines = [f"{path.name}: {_sentence(problem)}" for problem in problems]
        raise SpecificationError("\n".join(lines)) from None


def _sentence(problem: Any) -> str:
    *table, key = (str(part) for part in problem["loc"]) if problem["loc"] else ("",)
    where = ".".join(table)
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        model: type[BaseModel] = Catalogue
        for name, entry in (("citations", Citation), ("licences", Licence), ("sources", Source)):
            model = entry if table[:1] == [name] else model
        for name, nested in (("files", OfficialFile), ("downloads", Download)):
            model = nested if table[2:3] == [name] else model
        near = nearest(key, model.model_fields)
        hint = f"did you mean {near!r}?" if near else "valid: " + ", ".join(model.model_fields)
        return f"{where or 'top level'}: unknown key {key!r}; {hint}"
    if problem["type"] == "missing":
        return f"{where or 'top level'}: the key {key!r} is missing."
    if problem["type"] == "value_error":
        return f"{'.'.join([*table, key])}: {message}".removeprefix(": ")
    return f"{'.'.join([*table, key])} = {problem['input']!r}: {message}."


def catalogue() -> Catalogue:
    """The catalogue that comes with the library, or the file that ``FORECAST_CATALOGUE`` names.

    Raises
    ------
    MissingFileError, SpecificationError
        As `load_catalogue`.
    """
    given = os.environ.get("FORECAST_CATALOGUE")
    path = Path(given).expanduser() if given else data_folder() / CATALOGUE
    return _loaded(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int) -> Catalogue:
    return load_catalogue(path)


def years_of(source: Source) -> str:
    """Years that a source covers, in words."""
    return "as the file says" if source.covers is None else f"{source.covers[0]}–{source.covers[1]}"
