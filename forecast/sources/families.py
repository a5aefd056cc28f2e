"""Releases that the catalogue does not list, read by the layout of those that it does.

A family is the releases of one data set whose files say which release they are (column
``version``): their keys differ in the number at the end, as in ``ucdp_acd_25_1``.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from forecast.errors import DataError
from forecast.sources.archive import MissingMemberError
from forecast.sources.copies import Given, copy_of, existing, matching, stage
from forecast.sources.entries import OfficialFile, Source

__all__ = ["families", "family_of", "layout", "plain_version", "releases_among", "unlisted_release"]

#: Column in which many authors write the release, or a year of their own.
COLUMN = "version"

_YEAR = re.compile(r"[12]\d{3}")
_END = re.compile(r"(_\d+)+$")
_NUMBER = re.compile(r"[ _-]*v?\d[\d._]*(?<![._])")


def family_of(key: str) -> str:
    """Key of a source without the number of its release."""
    return _END.sub("", key)


def families(sources: Mapping[str, Source]) -> dict[str, tuple[str, ...]]:
    """Releases of each family, as the catalogue lists them.

    Parameters
    ----------
    sources : mapping of str to Source
        The sources of the catalogue.
    """
    found: dict[str, list[str]] = {}
    for key in sources:
        if key != family_of(key):
            found.setdefault(family_of(key), []).append(key)
    return {
        family: tuple(keys)
        for family, keys in found.items()
        if any(file.versions for key in keys for file in sources[key].files.values())
    }


def unlisted_release(key: str, sources: Mapping[str, Source]) -> Source | None:
    """Source of a key such as ``ucdp_acd_19_1``; None where no family of that name is known."""
    family = family_of(key)
    siblings = families(sources).get(family)
    if key == family or siblings is None:
        return None
    number = key.removeprefix(f"{family}_")
    # atop_51 is a slip for atop_5_1; a year may be a release.
    if number.count("_") < _parts(siblings) and not _YEAR.fullmatch(number):
        return None
    return layout(family, sources, number.replace("_", "."))


def _parts(siblings: Iterable[str]) -> int:
    """Fewest underscores in the number of a release of a family."""
    return min(key.removeprefix(f"{family_of(key)}_").count("_") for key in siblings)


def layout(family: str, sources: Mapping[str, Source], release: str = "") -> Source:
    """What the listed releases of a family have in common.

    Parameters
    ----------
    family : str
        Key of `families`.
    sources : mapping of str to Source
        The sources of the catalogue.
    release : str, optional
        Release that the files must be of; any by default.
    """
    keys = families(sources)[family]
    siblings = [sources[key] for key in keys]
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


def releases_among(
    family: str,
    sources: Mapping[str, Source],
    given: Iterable[Given] | Mapping[str, Given],
    *,
    only_unlisted: bool = False,
) -> dict[str, dict[str, Path]]:
    """Files of a family among a user's, by the release that they say they are.

    Parameters
    ----------
    family : str
        Key of `families`.
    sources : mapping of str to Source
        The sources of the catalogue.
    given : iterable of paths, or mapping of role to path
        Files, zip archives or folders.
    only_unlisted : bool
        Leave out the listed releases, and files that do not say which release they are.

    Returns
    -------
    dict of str to dict of str to pathlib.Path
        By the key of the source (a listed one where the release is listed) and role.

    Raises
    ------
    DataError
        A file does not say which release it is, holds two, cannot be read, or two are the same
        role of one release.
    MissingFileError
        A path does not exist.
    """
    entry = layout(family, sources)
    if isinstance(given, Mapping):
        pairs = [(role, existing(path)) for role, path in given.items() if role in entry.files]
    else:
        pairs = matching(entry, given)
    found: dict[str, dict[str, Path]] = {}
    for role, path in pairs:
        key = _release_of(path, role, entry.files[role], family, sources)
        if key is None or (only_unlisted and key in sources):
            continue
        if key == family:
            if only_unlisted:
                continue
            raise DataError(
                f"{path.name}: found no column {COLUMN!r} that says which release of {family} it"
                f" is; name it: `forecast data get {family}_RELEASE --from {path.name}`."
            )
        roles = found.setdefault(key, {})
        if role in roles:
            raise DataError(
                f"{key}: both {roles[role]} and {path} could be {role!r}; name one:"
                f" `--from {role}=FILE`."
            )
        roles[role] = path
    return found


def _release_of(
    path: Path, role: str, file: OfficialFile, family: str, sources: Mapping[str, Source]
) -> str | None:
    """Key of the release that a file, or that of a role in an archive, says it is.

    The family if it does not say; None if the archive does not have the role.
    """
    from forecast.sources.reader import read_official

    with tempfile.TemporaryDirectory() as folder:
        try:
            table = stage(copy_of(path, file), file, Path(folder) / "staged")
        except MissingMemberError:
            return None
        cells = read_official(table, {}, optional={COLUMN: "str?"})[COLUMN].dropna()
    versions = list(dict.fromkeys(cells))
    if not versions:
        return family
    if len(set(map(plain_version, versions))) > 1:
        raise DataError(
            f"{path.name}, column {COLUMN!r}: found {versions[0]!r} in row {cells.index[0]} and"
            f" {versions[1]!r} in row {cells.index[cells == versions[1]][0]}, expected one release."
        )
    siblings = families(sources)[family]
    for key in siblings:
        listed = sources[key].files.get(role)
        if listed and plain_version(versions[0]) in map(
            plain_version, listed.versions or (sources[key].release,)
        ):
            return key
    number = re.findall(r"\d+", versions[0])
    if not number:
        raise DataError(
            f"{path.name}, row {cells.index[0]}, column {COLUMN!r}: found {versions[0]!r},"
            " expected the number of a release."
        )
    if not _YEAR.fullmatch(number[0]):
        number += ["0"] * (_parts(siblings) + 1 - len(number))
    return "_".join([family, *number])


def plain_version(text: str) -> str:
    """Version as a spreadsheet may have rewritten it: ``22,1`` is 22.1, and ``5`` is 5.0."""
    text = text.strip().casefold().replace(",", ".")
    try:
        return repr(float(text))
    except ValueError:
        return text
