"""The catalogue of official sources, as its file ``data/catalogue.toml`` has it.

A release that it does not list is read by the layout of the listed ones of its family: the
releases of one data set whose files say which release they are (column ``version``). Their keys
differ in the number at the end, as in ``ucdp_acd_25_1``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from forecast.documents import Document, read_toml
from forecast.errors import ArgumentError, UnknownNameError, nearest, shown
from forecast.paths import data_folder
from forecast.sources.entries import Citation, Entry, Licence, Name, OfficialFile, Source

__all__ = [
    "Catalogue",
    "catalogue",
    "family_of",
    "load_catalogue",
    "same_version",
    "years_of",
]

_YEAR = re.compile(r"[12]\d{3}")
_END = re.compile(r"(_\d+)+$")
_NUMBER = re.compile(r"[ _-]*v?\d[\d._]*(?<![._])")


class Catalogue(Entry, Document):
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
        """Source with this key; for a release that is not listed, by the layout of its family."""
        found = self.sources.get(name) or self._unlisted(name)
        if found is not None:
            return found
        detail = "`forecast data list` shows them all."
        if listed := self.families.get(name):
            detail = (
                f"{name} is the family of {', '.join(listed)}; `forecast data get {name} --from"
                " FILE` takes any release of it."
            )
        raise UnknownNameError("source", name, self.sources, detail)

    def __contains__(self, name: object) -> bool:
        """Whether there is a source with this key, listed or of a known family."""
        return name in self.sources or self._unlisted(str(name)) is not None

    @cached_property
    def families(self) -> dict[str, tuple[str, ...]]:
        """Releases of each family, as listed."""
        found: dict[str, list[str]] = {}
        for key in self.sources:
            if key != family_of(key):
                found.setdefault(family_of(key), []).append(key)
        return {
            family: tuple(keys)
            for family, keys in found.items()
            if any(file.versions for key in keys for file in self.sources[key].files.values())
        }

    def _unlisted(self, key: str) -> Source | None:
        """Source of a key such as ``ucdp_acd_19_1``; None where no family of that name is known."""
        family = family_of(key)
        siblings = self.families.get(family)
        if key == family or siblings is None:
            return None
        number = key.removeprefix(f"{family}_")
        # atop_51 is a slip for atop_5_1; a year may be a release.
        if number.count("_") < _parts(siblings) and not _YEAR.fullmatch(number):
            return None
        return self.layout(family, number.replace("_", "."))

    def layout(self, family: str, release: str = "") -> Source:
        """What the listed releases of a family have in common; of any release by default."""
        keys = self.families[family]
        siblings = [self.sources[key] for key in keys]
        newest = siblings[0]
        roles = dict.fromkeys(role for sibling in siblings for role in sibling.files)
        shared = tuple(work for work in newest.cite if all(work in s.cite for s in siblings))
        listed = ", ".join(sibling.release for sibling in siblings)
        return newest.model_copy(
            update={
                "release": release,
                "provides": tuple(dict.fromkeys(fact for s in siblings for fact in s.provides)),
                "covers": None,
                "cite": shared or newest.cite,
                "files": {role: _common(role, siblings, release) for role in roles},
                "downloads": {},
                "note": f"Not listed in the catalogue (which has {listed}): read by their layout.",
                "layout_of": keys,
            }
        )

    def key_of(self, family: str, role: str, version: str) -> str | None:
        """Key of the release whose files hold a version; None where that is no number."""
        siblings = self.families[family]
        for key in siblings:
            listed = self.sources[key].files.get(role)
            if listed and same_version(version, listed.versions or (self.sources[key].release,)):
                return key
        number = re.findall(r"\d+", version)
        if number and not _YEAR.fullmatch(number[0]):
            number += ["0"] * (_parts(siblings) + 1 - len(number))
        return "_".join([family, *number]) if number else None

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
        """Raise if a source that was chosen for a kind of fact is not one of it."""
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
                f"{where}: unknown {shown(key)}." + (f" Did you mean {near!r}?" if near else "")
            )


def family_of(key: str) -> str:
    """Key of a source without the number of its release."""
    return _END.sub("", key)


def _parts(siblings: Iterable[str]) -> int:
    """Fewest underscores in the number of a release of a family."""
    return min(key.removeprefix(f"{family_of(key)}_").count("_") for key in siblings)


def _common(role: str, siblings: list[Source], release: str) -> OfficialFile:
    """A file of a role as any release may have it."""
    having = [sibling for sibling in siblings if role in sibling.files]
    files = [sibling.files[role] for sibling in having]
    stated = next((text for file in files for text in file.versions), None)
    names = dict.fromkeys(_NUMBER.sub("#", name, count=1) for file in files for name in file.names)
    # What stands before the number, as in gml-2.2.1.
    prefix = "" if stated is None else re.split(r"\d", stated, maxsplit=1)[0]
    return OfficialFile(
        names=tuple(names),
        optional=len(having) < len(siblings) or any(file.optional for file in files),
        gives=files[0].gives or having[0].provides,
        versions=(prefix + release,) if release and stated is not None else (),
        max_megabytes=max(file.max_megabytes for file in files),
    )


def _plain(version: str) -> str:
    """Version as a spreadsheet may have rewritten it: ``22,1`` is 22.1, and ``5`` is 5.0."""
    text = version.strip().casefold().replace(",", ".")
    try:
        return repr(float(text))
    except ValueError:
        return text


def same_version(version: str, others: Iterable[str]) -> bool:
    """Whether a version is one of others, as a spreadsheet may have rewritten either."""
    return _plain(version) in map(_plain, others)


def load_catalogue(path: Path) -> Catalogue:
    """Catalogue in a TOML file.

    Raises
    ------
    MissingFileError
        There is no such file.
    SpecificationError
        It is not TOML, or an entry is malformed; names the key and the nearest valid one.
    """
    remedy = " Reinstall alliance-forecast, or correct FORECAST_CATALOGUE."
    return Catalogue.from_dict(read_toml(path, "catalogue", remedy=remedy), source=path.name)


def catalogue() -> Catalogue:
    """The catalogue that comes with the library, or the file that ``FORECAST_CATALOGUE`` names.

    Raises
    ------
    MissingFileError, SpecificationError
        As `load_catalogue`.
    """
    given = os.environ.get("FORECAST_CATALOGUE")
    path = Path(given).expanduser() if given else data_folder() / "catalogue.toml"
    return _loaded(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int) -> Catalogue:
    return load_catalogue(path)


def years_of(source: Source) -> str:
    """Years that a source covers, in words."""
    return "as the file says" if source.covers is None else f"{source.covers[0]}–{source.covers[1]}"
