"""What ``data/catalogue.toml`` says of a source: where its files live, and their terms."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from forecast.documents import Table
from forecast.errors import nearest, shown

__all__ = [
    "AS_CSV",
    "R_FILES",
    "Citation",
    "Download",
    "Entry",
    "Licence",
    "Name",
    "OfficialFile",
    "Source",
]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
Text = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Year = Annotated[int, Field(ge=1400, le=2100)]


#: How the names of R's files end.
R_FILES = (".rds", ".rda", ".rdata")
#: Files of Stata and R hold what a CSV file of the same name holds.
AS_CSV = (".dta", *R_FILES)

#: Characters of the longest name of a file; a member of an archive may have 65,535.
_LONGEST_NAME = 255
#: What ``#`` stands for in the name of a file: the number of a release, as any author writes it.
_NUMBER = r"[ _-]*v?\d[\d._]*"


class Entry(Table):
    """A part of the catalogue: strict, and the same for ever."""

    model_config = ConfigDict(strict=True)


class Licence(Entry):
    """Terms of use: short name, a sentence (also where none was seen), where they are stated."""

    name: Text
    terms: Text
    url: Text


class Citation(Entry):
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


class Download(Entry):
    """A CSV file or zip archive of a publisher; its hash where an independent source states it."""

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


class OfficialFile(Entry):
    """One file that a reader takes, in its role.

    Attributes
    ----------
    names : tuple of str
        File names under which the file is known, best first; ``*`` and ``?`` match as in a
        shell, ``#`` the number of any release. Case and a trailing ``.gz`` do not count; the
        ends of Stata's and R's files stand for ``.csv``.
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
        if len(name) > _LONGEST_NAME:
            return None
        plain = name.lower().removesuffix(".gz")
        for end in AS_CSV:
            if plain.endswith(end):
                plain = plain.removesuffix(end) + ".csv"
        for position, pattern in enumerate(self.names):
            if _compiled(pattern.lower()).match(plain):
                return position
        return None

    @property
    def shown(self) -> str:
        """Name under which the file is asked for."""
        return self.names[0].replace("#", "*")


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern).replace(r"\#", _NUMBER))


class Source(Entry):
    """One release of one source.

    Attributes
    ----------
    title, release : str
        What it is called, and which version this is.
    provides : tuple of str
        Kinds of fact: keys of `forecast.sources.schemas.SCHEMAS`.
    reader : str
        Module of `forecast.sources.official` that reads it.
    covers : tuple of int, optional
        First and last calendar year, as stated by its authors; none for a release that the
        catalogue does not list.
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
    layout_of : tuple of str
        For a release that the catalogue does not list, the releases by whose layout it is read
        (`forecast.sources.catalogue_file`).
    """

    title: Text
    release: Text
    provides: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    reader: Name
    covers: Annotated[tuple[Year, Year] | None, Field(strict=False)]
    licence: Name
    cite: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    landing: Annotated[str, Field(pattern=r"^https?://\S+$")]
    files: Annotated[dict[Name, OfficialFile], Field(min_length=1)]
    downloads: dict[Name, Download] = Field(default_factory=dict)
    note: str = ""
    layout_of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.covers is not None and self.covers[0] > self.covers[1]:
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
                raise ValueError(f"files.{role}: unknown download {shown(file.download)}.{hint}")
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
