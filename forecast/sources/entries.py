"""Entries of ``data/catalogue.toml``: where official files live, and their terms."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from forecast.errors import (
    ArgumentError,
    MissingFileError,
    SpecificationError,
    UnknownNameError,
    nearest,
)
from forecast.paths import data_folder

__all__ = [
    "Catalogue",
    "Citation",
    "Download",
    "Licence",
    "OfficialFile",
    "Source",
    "catalogue",
    "load_catalogue",
]

CATALOGUE = "catalogue.toml"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Year = Annotated[int, Field(ge=1400, le=2100)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Licence(_Entry):
    """Terms under which a source may be used.

    Attributes
    ----------
    name : str
        Short name, e.g. ``"CC BY 4.0"``.
    terms : str
        One sentence; says so where no written licence was seen.
    url : str
        Where the terms are stated.
    """

    name: Text
    terms: Text
    url: Text


class Citation(_Entry):
    """A work to cite, with the fields of BibTeX."""

    type: Annotated[str, Field(pattern=r"^(article|book|incollection|misc)$")]
    author: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    title: Text
    year: Year
    journal: Text | None = None
    booktitle: Text | None = None
    editor: Text | None = None
    publisher: Text | None = None
    volume: Text | None = None
    number: Text | None = None
    pages: Text | None = None
    doi: Text | None = None
    url: Text | None = None
    note: Text | None = None

    @property
    def text(self) -> str:
        """The work as a sentence of a list of references."""
        names = [name.strip("{}") for name in self.author]
        people = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        parts = [f"{people.rstrip('.')}. {self.year}. {self.title}."]
        if self.journal is not None:
            issue = f"({self.number})" if self.number else ""
            where = f"{self.journal} {self.volume or ''}{issue}".rstrip()
            parts.append(f"{where}: {self.pages}." if self.pages else f"{where}.")
        if self.booktitle is not None:
            editor = f"{self.editor} (ed.), " if self.editor else ""
            pages = f", {self.pages}" if self.pages else ""
            parts.append(f"In {editor}{self.booktitle}{pages}.")
        if self.publisher is not None:
            parts.append(f"{self.publisher}.")
        if self.note is not None:
            parts.append(f"{self.note}.")
        if self.doi is not None:
            parts.append(f"https://doi.org/{self.doi}")
        elif self.url is not None:
            parts.append(self.url)
        return " ".join(parts)

    def bibtex(self, key: str) -> str:
        """The work as a BibTeX entry with this key."""
        content = self.model_dump(exclude_none=True, exclude={"type"})
        fields = {**content, "author": " and ".join(self.author), "year": str(self.year)}
        # Doubled braces keep BibTeX from lowering the capitals of a title.
        fields["title"] = f"{{{self.title}}}"
        if self.pages is not None:
            fields["pages"] = self.pages.replace("–", "--")
        lines = [f"  {name} = {{{value}}}" for name, value in fields.items()]
        return f"@{self.type}{{{key},\n" + ",\n".join(lines) + "\n}"


class Download(_Entry):
    """A file that a publisher offers: a CSV file or a zip archive.

    Attributes
    ----------
    url : str
        Address; unverified until its first success is in the lock.
    sha256 : str, optional
        Hash of the file where an independent source states it.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+/\S+$")]
    sha256: Sha256 | None = None

    @property
    def name(self) -> str:
        """File name at the end of the address."""
        return PurePosixPath(self.url.split("?")[0]).name

    @property
    def is_archive(self) -> bool:
        """Whether it is a zip archive."""
        return self.name.lower().endswith(".zip")


class OfficialFile(_Entry):
    """One file that a reader takes, in its role.

    Attributes
    ----------
    names : tuple of str
        File names under which the file is known, best first; ``*`` and ``?`` match as in a
        shell. Case and a trailing ``.gz`` do not count; ``.dta`` stands for ``.csv``.
    download : str, optional
        Key of the download that holds it; without one, the user must bring the file.
    member : tuple of str
        Name inside the archive; several names lead through archives in the archive.
    optional : bool
        Whether the reader does without it.
    gives : tuple of str
        Kinds of fact that it is read for; all that the source provides by default.
    sha256 : str, optional
        Hash of the file as published, where known. Another copy is accepted and reported.
    versions : tuple of str
        What the column ``version`` holds in this release, where known; a file whose column holds
        something else is refused. A number is compared as such.
    max_megabytes : int
        Largest size that is believed.
    """

    names: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    download: Name | None = None
    member: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    optional: bool = False
    gives: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    sha256: Sha256 | None = None
    versions: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    max_megabytes: Annotated[int, Field(gt=0, le=4096)] = 256

    def rank(self, name: str) -> int | None:
        """Position in `names` of the first pattern that matches a file name; None for none."""
        plain = name.lower().removesuffix(".gz")
        if plain.endswith(".dta"):
            plain = plain.removesuffix(".dta") + ".csv"
        for position, pattern in enumerate(self.names):
            if fnmatchcase(plain, pattern.lower()):
                return position
        return None


class Source(_Entry):
    """One release of one source.

    Attributes
    ----------
    title, release : str
        What it is called, and which version this is.
    provides : tuple of str
        Kinds of fact: keys of `forecast.sources.schemas.SCHEMAS`.
    reader : str
        Module of `forecast.sources.official` that reads it.
    covers : tuple of int
        First and last calendar year, as stated by its authors.
    licence : str
        Key of a licence.
    cite : tuple of str
        Keys of the works to cite.
    landing : str
        Page for people.
    files : mapping of str to OfficialFile
        Keyed by the reader's roles.
    downloads : mapping of str to Download
        What is fetched.
    note : str
        What a user should know before trusting it.
    """

    title: Text
    release: Text
    provides: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    reader: Name
    covers: Annotated[tuple[Year, Year], Field(strict=False)]
    licence: Name
    cite: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    landing: Annotated[str, Field(pattern=r"^https?://\S+$")]
    files: Annotated[dict[Name, OfficialFile], Field(min_length=1)]
    downloads: dict[Name, Download] = {}
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.covers[0] > self.covers[1]:
            raise ValueError(f"covers = {list(self.covers)}: the first year is after the last.")
        used = set()
        for role, file in self.files.items():
            for fact in file.gives:
                if fact not in self.provides:
                    raise ValueError(f"files.{role} gives {fact}, which provides does not list.")
            if file.download is None:
                if file.member:
                    raise ValueError(f"files.{role} names a member but no download.")
                continue
            if file.download not in self.downloads:
                near = nearest(file.download, self.downloads)
                hint = f" Did you mean {near!r}?" if near else ""
                raise ValueError(f"files.{role}: unknown download {file.download!r}.{hint}")
            used.add(file.download)
            if self.downloads[file.download].is_archive != bool(file.member):
                raise ValueError(
                    f"files.{role}: a file of a zip archive needs its member, any other has none."
                )
        if unused := sorted(set(self.downloads) - used):
            raise ValueError(f"downloads.{unused[0]} is used by no file.")
        return self

    @property
    def required(self) -> tuple[str, ...]:
        """Roles without which the source cannot be read."""
        return tuple(role for role, file in self.files.items() if not file.optional)

    def facts_of(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Kinds of fact that the files of these roles give, in the order of `provides`."""
        given = {fact for r in roles for fact in self.files[r].gives or self.provides}
        return tuple(fact for fact in self.provides if fact in given)

    @property
    def can_be_downloaded(self) -> bool:
        """Whether an address is known for every file that the reader needs."""
        needed = self.required or tuple(self.files)
        known = [self.files[role].download is not None for role in needed]
        return all(known) if self.required else any(known)


class Catalogue(_Entry):
    """Every source that the library reads.

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
        for fact, sources in self.facts.items():
            _known(f"facts.{fact}", sources, self.sources)
            for key in sources:
                if fact not in self.sources[key].provides:
                    raise ValueError(f"facts.{fact}: {key} does not provide {fact}.")
        return self

    def __getitem__(self, name: str) -> Source:
        """Source with this key.

        Raises
        ------
        UnknownNameError
            No such source; names the nearest.
        """
        if name not in self.sources:
            raise UnknownNameError(
                "source", name, self.sources, "`forecast data list` shows them all."
            )
        return self.sources[name]

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
                f"{source.covers[0]}–{source.covers[1]}",
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
