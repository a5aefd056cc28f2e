"""Reading a TOML file, and pydantic's errors with the table, the key and the nearest valid name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from forecast.errors import MissingFileError, SpecificationError, UnknownNameError, nearest

__all__ = ["Document", "Table", "explain", "read_toml"]


class Table(BaseModel):
    """A table of a TOML file: no unknown keys, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Document(Table):
    """A whole TOML file."""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, source: str = "file") -> Self:
        """Validate a mapping as read from TOML or JSON, which an error calls `source`.

        Raises `SpecificationError`: One line for each unknown key, wrong value or contradiction,
        with the nearest valid key.
        """
        try:
            return cls.model_validate(dict(content))
        except ValidationError as error:
            raise SpecificationError(explain(error, content, cls, source)) from None

    @classmethod
    def from_file(cls, file: str | Path, folder: Path, what: str) -> Self:
        """Read a file, given by its path or, of those in a folder of shipped ones, by its name.

        Raises `UnknownNameError`, `MissingFileError`, `SpecificationError`: No shipped one has that
        name; there is no such file; it is not right.
        """
        path = Path(file)
        if isinstance(file, str) and path.suffix != ".toml" and path.name == file:
            shipped = sorted(found.stem for found in folder.glob("*.toml"))
            if file not in shipped:
                raise UnknownNameError(what, file, shipped, f"Shipped: {', '.join(shipped)}.")
            path = folder / f"{file}.toml"
        return cls.from_dict(read_toml(path, what), source=str(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that `from_dict` reads back to an equal one."""
        return self.model_dump(mode="json", by_alias=True)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Content of a TOML file; `what` it is, in the message when there is none.

    Raises `MissingFileError`, `SpecificationError`: There is no such file; it is not TOML.
    """
    if not path.is_file():
        raise MissingFileError(f"There is no {what} file {str(path)!r}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecificationError(f"{path}: not a valid TOML file: {error}") from None


def explain(
    error: ValidationError, content: Mapping[str, Any], model: type[BaseModel], source: str
) -> str:
    """What the validation of the content of a file found, one line for each place."""
    # A value that fits none of several types has one problem for each.
    lines: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False):
        place, text = _explained(problem, content, model)
        lines.setdefault(place, []).append(text)
    return "\n".join(f"{source}: {place}{' or '.join(texts)}" for place, texts in lines.items())


def _explained(problem: Any, content: Mapping[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    """Where a mistake is, e.g. ``[[term]] 3 ('ratio') prior: sd = 0: ``, and what it is."""
    table, key, found = _place(problem["loc"], content)
    where = f"{table}: " if table else ""
    kind, text = problem["type"], str(problem["msg"]).replace("valid tuple", "list")
    if kind == "extra_forbidden":
        valid = _keys(model, problem["loc"][:-1])
        return where, f"unknown key {key!r}{_meant(key, valid)} Valid keys: {', '.join(valid)}."
    if kind == "missing" and isinstance(problem["loc"][-1], str):
        return where, f"the key {problem['loc'][-1]!r} is missing"
    if kind == "string_pattern_mismatch":  # names of models, terms and their like
        text = "expected lower-case letters, digits and underscores, a letter first"
    if kind == "value_error":
        return where, text.removeprefix("Value error, ")
    if kind == "literal_error":
        valid = [w.strip("' ") for w in problem["ctx"]["expected"].replace(" or ", ",").split(",")]
        text += _meant(str(found), valid) if len(valid) > 1 else ""
    return f"{where}{key} = {found!r}: ", text


def _meant(name: str, valid: list[str]) -> str:
    hint = nearest(name, valid)
    return f"; did you mean {hint!r}?" if hint else "."


def _place(location: tuple[int | str, ...], content: Mapping[str, Any]) -> tuple[str, str, Any]:
    """Table of a location, key in it (``knots[4]`` in a list), and the value that is there."""
    table, key, here = "", "", content
    for part in location:
        try:
            here = here[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):  # a type that pydantic tried
            break
        if isinstance(part, int) and isinstance(here, Mapping):
            label = here.get("name") or here.get("feature")
            table, key = f"[[{key}]] {part + 1}" + (f" ({label!r})" if label else ""), ""
        elif isinstance(here, Mapping):
            table, key = f"{table} {part}" if table else f"[{part}]", str(part)
        else:
            key = f"{key}[{part}]" if isinstance(part, int) else str(part)
    return table, key, here


def _keys(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> list[str]:
    """Valid keys of the table at a location."""
    for part in location:
        if isinstance(part, str) and model is not None:
            fields = {field.alias or name: field for name, field in model.model_fields.items()}
            inner = _models(fields[part].annotation) if part in fields else iter(())
            model = next(inner, model)
    return [] if model is None else [f.alias or name for name, f in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The table models inside ``tuple[M, ...]``, ``M | None`` or ``M``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
