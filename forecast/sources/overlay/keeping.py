"""A user's amendments kept in their folder: added, taken away, and those that a call asks for.

``amendments/NAME.json`` in `forecast.sources.cache.cache_folder` has the changes with their hash,
when they were added and from where. They are applied in the order in which they were added.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from forecast.disk import flush, told, write_atomically
from forecast.documents import read_json
from forecast.errors import ArgumentError, ChangedFileError, DataError, UnknownNameError, wrong_type
from forecast.exchange import held
from forecast.paths import data_folder
from forecast.sources.cache import cache_folder
from forecast.sources.overlay.apply import amended
from forecast.sources.overlay.changes import Amendment, Change, amendment_from_frames
from forecast.sources.tables import Tables

__all__ = ["SWITCH", "Amend", "Kept", "chosen", "example_text", "keep", "kept", "remove"]

#: Version of the layout of a file.
VERSION = 1
#: Set to 0, it turns off the amendments that are kept, so that published numbers come out.
SWITCH = "FORECAST_AMENDMENTS"

#: What a data set is amended by: those that are kept, none, or these.
type Amend = Literal["kept"] | Amendment | Sequence[Amendment] | Mapping[str, pd.DataFrame] | None


@dataclass(frozen=True)
class Kept:
    """An amendment in the user's folder, when it was added (ISO 8601, UTC), and from which file."""

    amendment: Amendment
    added: str
    origin: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        own = self.amendment
        return {
            "name": own.name,
            "data": own.data,
            "rows": len(own.changes),
            "sha256": own.sha256,
            "added": self.added,
            "origin": self.origin,
            "changes": own.records(),
        }


def kept(cache: Path | None = None) -> list[Kept]:
    """Amendments in the user's folder, in the order in which they are applied.

    A file that is not as it was written is a ChangedFileError, never left out without a word.
    """
    found = [_read(path) for path in sorted(_folder(cache).glob("*.json"))]
    return sorted(found, key=lambda one: (one.added, one.amendment.name))


def keep(
    amendment: Amendment, *, origin: str = "", replace: bool = False, cache: Path | None = None
) -> Tables:
    """Check an amendment on its data set, with those that are kept, and keep it.

    Gives the data set with all that is kept for it. With `replace` it takes the place of another
    content of the same name, which else is an ArgumentError. One that does not fit the data, or
    with which one that was added later does not fit, is a DataError, and nothing is kept.
    """
    with held(_folder(cache)):
        others = kept(cache)
        twin = next((one for one in others if one.amendment.name == amendment.name), None)
        if twin is not None and not replace and twin.amendment.label != amendment.label:
            raise ArgumentError(
                f"Another amendment is kept under the name {amendment.name!r}"
                f" ({twin.amendment.label}, of {twin.added[:10]}). Give this one another name"
                " (--name), or let it take the other's place (--replace)."
            )
        added = datetime.now(UTC).isoformat(timespec="microseconds") if twin is None else twin.added
        new = Kept(amendment, added=added, origin=origin)
        after = [*(one for one in others if one is not twin), new]
        after.sort(key=lambda one: (one.added, one.amendment.name))
        tables = _checked(after, amendment.data, cache)
        content = {"version": VERSION, **new.to_dict()}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_atomically(_folder(cache) / f"{amendment.name}.json", text.encode("utf-8"))
        return tables


def remove(name: str, *, cache: Path | None = None) -> Kept:
    """Take an amendment away, and return it.

    If one that was added later builds on it, it is a DataError and nothing is removed.
    """
    with held(_folder(cache)):
        found = {one.amendment.name: one for one in kept(cache)}
        if name not in found:
            detail = "`forecast data amend --list` has them."
            raise UnknownNameError("amendment", name, found, detail)
        own = found.pop(name)
        later = [one for one in found.values() if one.added > own.added]
        if any(one.amendment.data == own.amendment.data for one in later):
            try:
                _checked(list(found.values()), own.amendment.data, cache)
            except DataError as error:
                raise DataError(
                    f"Without {name!r} one that was added later does not fit any more: {error}"
                ) from None
        with told(_folder(cache)):
            (_folder(cache) / f"{name}.json").unlink()
            flush(_folder(cache))
        return own


def chosen(data: object, amend: Amend) -> tuple[Amendment, ...]:
    """The amendments of a data set that an option `amend` of `forecast.load_panel` asks for.

    Those that are kept are for the named data sets only: a folder is the user's own, and tables
    that were read already have theirs.
    """
    if amend is None:
        return ()
    if isinstance(amend, str):
        if amend != "kept":
            raise ArgumentError(
                f"amend={amend!r}: expected 'kept', None, amendments or frames by kind of change."
            )
        if not isinstance(data, str) or os.environ.get(SWITCH, "").strip() == "0":
            return ()
        return tuple(one.amendment for one in kept() if one.amendment.data == data)
    if isinstance(amend, Amendment):
        return (amend,)
    if isinstance(amend, Mapping):
        return (amendment_from_frames(amend),)
    if isinstance(amend, Sequence):
        each = tuple(one for one in amend if isinstance(one, Amendment))
        if len(each) == len(amend):
            return each
    raise wrong_type("amend", amend, "'kept', None, amendments or frames by kind of change.")


def example_text() -> str:
    """A TOML file with comments to start an amendment from; it is valid as it is."""
    return (data_folder() / "amendment-example.toml").read_text(encoding="utf-8")


def _checked(every: Sequence[Kept], data: str, cache: Path | None) -> Tables:
    """A data set with those of the amendments that are for it."""
    from forecast.sources.embedded import load_tables
    from forecast.sources.historical import load_historical

    plain = load_tables() if data == "embedded" else load_historical(cache=cache)
    return amended(plain, [one.amendment for one in every if one.amendment.data == data])


def _folder(cache: Path | None) -> Path:
    return (cache_folder() if cache is None else cache) / "amendments"


def _read(path: Path) -> Kept:
    try:
        content = read_json(path, "file", wrong=ChangedFileError)
        changes = [
            Change(str(c.pop("change")), {str(k): str(v) for k, v in c.items()}, path.name, i + 1)
            for i, c in enumerate([dict(record) for record in content["changes"]])
        ]
        found = Kept(
            Amendment(content["name"], content["data"], tuple(changes)),
            added=str(content["added"]),
            origin=str(content["origin"]),
        )
        if content["version"] != VERSION or found.to_dict() != {
            key: value for key, value in content.items() if key != "version"
        }:
            raise ValueError("its content is not what was checked")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChangedFileError(
            f"{path}: not an amendment as this version kept it ({str(error)[:200]}). Delete the"
            f" file and add your own again (`forecast data amend --from FILE`), or set {SWITCH}=0"
            " to go without amendments."
        ) from None
    return found
