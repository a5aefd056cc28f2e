"""TOML and JSON read and checked; an error names file, table, key and the nearest valid one."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from forecast.errors import (
    ArtifactError,
    ForecastError,
    MissingFileError,
    SpecificationError,
    UnknownNameError,
    nearest,
    shown,
)

__all__ = [
    "Document", "Table", "Year", "checked", "explain", "json_of", "opened", "read_json",
    "read_text", "read_toml", "toml_of", "toml_text",
]  # fmt: skip

Year = Annotated[int, Field(strict=True, ge=1, le=9999)]

#: Bytes of a file: what is written by hand is far smaller, and reading takes time and memory.
_LARGEST = 1_000_000
#: Lists and tables in each other.
_DEEPEST = 32
#: Parts of a dotted key; the parser's time grows with their square.
_DOTTED = re.compile(r"""(?:\.[ \t]*+(?:"[^"\n]*+"|'[^'\n]*+'|[\w-]++)[ \t]*+){64}""", re.ASCII)
_DIGITS = re.compile(r"[0-9_]{1000}")
#: Characters that one problem, and all of them together, take in a message.
_LINE, _MESSAGE = 500, 1200


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
        return cls.from_dict(read_toml(path, f"{what} file"), source=str(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that `from_dict` reads back to an equal one."""
        return self.model_dump(mode="json", by_alias=True)


def read_toml(
    path: Path, what: str, *, wrong: type[ForecastError] = SpecificationError, remedy: str = ""
) -> dict[str, Any]:
    """Content of a TOML file; `what` it is, and a `remedy`, for the message when there is none.

    Raises `MissingFileError`, or `wrong`: There is no such file; it is not TOML.
    """
    return toml_of(read_text(path, what, wrong=wrong, remedy=remedy), str(path), wrong=wrong)


def read_text(
    path: Path, what: str, *, wrong: type[ForecastError] = SpecificationError, remedy: str = ""
) -> str:
    """Text of a file in UTF-8, as `read_toml`."""
    with opened(path, what, wrong=wrong, remedy=remedy) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise wrong(f"{path} has more than {_LARGEST:,} bytes; expected a {what}.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise wrong(
            f"{path}: not a valid TOML file: line {line} has the byte 0x{content[error.start]:02x},"
            " expected UTF-8"
        ) from None


@contextmanager
def opened(
    path: Path, what: str, *, wrong: type[ForecastError] = SpecificationError, remedy: str = ""
) -> Iterator[BinaryIO]:
    """A file to read, as `read_toml`; `wrong`, too, for a folder and what the system refuses."""
    place = shown(str(path), 300)
    try:
        if path.is_dir():
            raise wrong(f"{place} is a folder; expected a {what}.")
        if not path.is_file():
            raise MissingFileError(f"There is no {what} {place}.{remedy}")
        with path.open("rb") as file:
            yield file
    except ForecastError:
        raise
    except OSError as error:
        raise wrong(f"{place} cannot be read: {error.strerror or error}.") from None


def toml_of(
    text: str, where: str, *, wrong: type[ForecastError] = SpecificationError
) -> dict[str, Any]:
    """Content of a text in TOML, which an error calls `where`.

    Raises `wrong`: It is not TOML, or has numbers, keys or nesting that nothing here needs.
    """
    try:
        if long := _DOTTED.search(text):
            raise ValueError(f"a key of more than 64 parts (at line {_line(text, long.start())})")
        content = tomllib.loads(text)
    except RecursionError:
        raise wrong(f"{where}: not a valid TOML file: nested too deep") from None
    except ValueError as error:
        why = str(error)
        if not isinstance(error, tomllib.TOMLDecodeError) and (long := _DIGITS.search(text)):
            why = f"a number of over 1,000 digits (at line {_line(text, long.start())})"
        raise wrong(f"{where}: not a valid TOML file: {_cut(why, 300)}") from None
    _refuse_extremes(content, where, wrong)
    return content


def toml_text(content: Mapping[str, Any]) -> str:
    """The content of a document as TOML: what `toml_of` reads back; None is left out.

    Tables, and lists of them, at the top have a header; those inside of them are in one line.
    """
    lines, tables = list[str](), list[str]()
    for key, value in content.items():
        many = isinstance(value, list | tuple) and len(value) > 0
        listed = many and all(isinstance(one, Mapping) for one in value)
        if not listed and not isinstance(value, Mapping):
            lines += [f"{key} = {_toml(value)}"] if value is not None else []
            continue
        for one in value if listed else [value]:
            tables += ["", f"[[{key}]]" if listed else f"[{key}]"]
            tables += [f"{k} = {_toml(v)}" for k, v in one.items() if v is not None]
    return "\n".join([*lines, *tables]) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = [f"{k} = {_toml(v)}" for k, v in value.items() if v is not None]
        return f"{{ {', '.join(inner)} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_json(
    path: Path, what: str, *, wrong: type[ForecastError] = ArtifactError, remedy: str = ""
) -> Any:
    """Content of a file of JSON, as `read_toml`."""
    with opened(path, what, wrong=wrong, remedy=remedy) as file:
        return json_of(file.read(), str(path), wrong=wrong)


def json_of(content: bytes, where: str, *, wrong: type[ForecastError] = ArtifactError) -> Any:
    """Content of a text in JSON, which an error calls `where`.

    Raises `wrong`: It is not JSON, or has numbers or nesting that nothing here needs.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"found {constant}, which is no number of JSON")

    try:
        found = json.loads(content, parse_constant=refuse)
        if b"\\u" in content:  # half of a character, which cannot be written again
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise wrong(f"{where} cannot be read: {_cut(str(error), 300)}; expected JSON.") from None
    _refuse_extremes(found, where, wrong, strict=True)
    return found


def checked[T](
    kind: type[T], content: object, where: str, *, wrong: type[ForecastError] = SpecificationError
) -> T:
    """A dataclass from the content of a table, which an error calls `where`.

    Raises `wrong`: Names the first key with a wrong value.
    """
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        why = _cut(first["msg"].removeprefix("Value error, "), _LINE)
        place = f"{where}, key {shown(key)}" if key else where
        raise wrong(f"{place}: {why}; found {shown(first['input'])}.") from None


def _refuse_extremes(
    content: Any, where: str, wrong: type[ForecastError], *, strict: bool = False
) -> None:
    """Raise for a whole number beyond 64 bits, and for lists and tables nested too deep."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), content)]
    while stack:
        location, value = stack.pop()
        inner: Any = ()
        if isinstance(value, dict):
            inner = value.items()
        elif isinstance(value, list):
            inner = enumerate(value)
        elif (isinstance(value, int) and not -(2**63) <= value < 2**63) or (
            # TOML has inf and nan, and what they stand for is its reader's to say; JSON has not.
            strict and isinstance(value, float) and not isfinite(value)
        ):
            place = ": ".join(filter(None, _place(location, content)[:2]))
            raise wrong(f"{where}: {place} = {shown(value)}: expected a number of 64 bits")
        if inner and value and len(location) >= _DEEPEST:
            place = ": ".join(filter(None, _place(location[:4], content)[:2]))
            raise wrong(f"{where}: {place}: nested more than {_DEEPEST} deep")
        stack += [((*location, part), found) for part, found in inner]


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _cut(text: str, most: int) -> str:
    """A text without its middle, if it is long: the place is told at an end."""
    return text if len(text) <= most else f"{text[: most - 100]} … {text[-90:]}"


def explain(
    error: ValidationError, content: Mapping[str, Any], model: type[BaseModel], source: str
) -> str:
    """What the validation of the content of a file found, one line for each place."""
    # A value that fits none of several types has one problem for each.
    places: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False, include_input=False):
        place, text = _explained(problem, content, model)
        places.setdefault(place, []).append(text)
    lines: list[str] = []
    for place, texts in places.items():
        line = f"{source}: {_cut(place + ' or '.join(texts), _LINE)}"
        if lines and sum(map(len, lines)) + len(line) > _MESSAGE:
            lines.append(f"{source}: and {len(places) - len(lines):,} more mistakes")
            break
        lines.append(line)
    return "\n".join(lines)


def _explained(problem: Any, content: Mapping[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    """Where a mistake is, e.g. ``[[term]] 3 ('ratio') prior: sd = 0: ``, and what it is."""
    table, key, found = _place(problem["loc"], content)
    where = f"{table}: " if table else ""
    kind, text = problem["type"], str(problem["msg"]).replace("valid tuple", "list")
    if kind == "extra_forbidden":
        valid, name = _keys(model, problem["loc"][:-1]), str(problem["loc"][-1])
        meant = f"{_meant(name, valid)} Valid keys: {', '.join(valid)}."
        return where, f"unknown key {shown(name)}{meant}"
    if kind == "missing" and isinstance(problem["loc"][-1], str):
        return where, f"the key {problem['loc'][-1]!r} is missing"
    if kind == "string_pattern_mismatch":  # names of models, terms and their like
        small = "" if "A-Z" in problem["ctx"]["pattern"] else "lower-case "
        text = f"expected {small}letters, digits and underscores, a letter first"
    if kind == "value_error":
        return where, text.removeprefix("Value error, ")
    if kind == "literal_error":
        valid = [w.strip("' ") for w in problem["ctx"]["expected"].replace(" or ", ",").split(",")]
        text += _meant(str(found), valid) if len(valid) > 1 else ""
    return f"{where}{key} = {shown(found)}: ", text


def _meant(name: str, valid: list[str]) -> str:
    hint = nearest(name, valid)
    return f"; did you mean {hint!r}?" if hint else "."


def _place(location: tuple[int | str, ...], content: Any) -> tuple[str, str, Any]:
    """Table of a location, key in it (``knots[4]`` in a list), and the value that is there."""
    table, key, here = "", "", content
    for part in location:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):  # a type that pydantic tried
            break
        name = str(part) if len(str(part)) <= 60 else f"{str(part)[:60]}…"
        inside = table[1:-1] if table.startswith("[") and not table.startswith("[[") else ""
        if isinstance(part, int) and isinstance(here, Mapping):
            label = here.get("name") or here.get("feature")
            table = f"[[{inside}.{key}]]" if inside else f"{table} [[{key}]]".lstrip()
            table, key = f"{table} {part + 1}" + (f" ({shown(label)})" if label else ""), ""
        elif isinstance(here, Mapping):
            outer = f"{table} {name}" if table else f"[{name}]"
            table, key = f"[{inside}.{name}]" if inside else outer, name
        else:
            key = f"{key}[{part}]" if isinstance(part, int) else name
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
