"""Reading a TOML file, and validation errors in its words: table, key, what was found."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from forecast.errors import MissingFileError, SpecificationError, nearest

__all__ = ["explain", "read_toml", "validated"]

#: Problems whose sentence needs no "key = value" before it.
_WHOLE = frozenset({"extra_forbidden", "missing", "value_error"})

#: Where pydantic's words are not those of a TOML file.
_EXPECTED = {
    "model_type": "expected a table",
    "tuple_type": "expected a list",
    "too_short": "the list is too short",
    "string_pattern_mismatch": "expected lower-case letters, digits and '_', a letter first",
}


def validated[Model: BaseModel](
    model: type[Model], content: Mapping[str, Any], source: str
) -> Model:
    """Content of a file under the rules of a model.

    Raises
    ------
    SpecificationError
        For every unknown key, wrong value or contradiction, with the nearest valid key.
    """
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        raise SpecificationError(explain(error, content, model, source)) from None


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Content of a TOML file; `what` it is, in the message when there is none.

    Raises
    ------
    MissingFileError, SpecificationError
        There is no such file; it is not TOML.
    """
    if not path.is_file():
        raise MissingFileError(f"There is no {what} file {str(path)!r}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecificationError(f"{path}: not a valid TOML file: {error}") from None


def explain(
    error: ValidationError,
    content: Mapping[str, Any],
    model: type[BaseModel],
    source: str,
) -> str:
    """One sentence per mistake, each naming file, table, key and the nearest valid key.

    Parameters
    ----------
    error : pydantic.ValidationError
        What the validation of `content` raised.
    content : mapping
        The mapping that was validated.
    model : type of BaseModel
        The model that it was validated against.
    source : str
        The file's path, or what else to call it.
    """
    grouped: dict[tuple[int | str, ...], list[Any]] = {}
    for problem in error.errors(include_url=False):
        grouped.setdefault(_written(problem["loc"], content), []).append(problem)
    lines: list[str] = []
    for location, problems in grouped.items():
        where = _table(location, content)
        # A value that fits none of several types has one problem for each.
        texts = dict.fromkeys(_sentence(problem, location, model) for problem in problems)
        text = " or ".join(texts)
        if problems[0]["type"] not in _WHOLE:
            text = f"{_key(location)} = {_at(location, content)!r}: {text}"
        lines.append(f"{source}: " + (f"{where}: " if where else "") + text)
    return "\n".join(lines)


def _sentence(problem: Any, location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    key, kind = _key(location), problem["type"]
    if kind == "extra_forbidden":
        valid = _keys(_model_at(model, location[:-1]))
        hint = nearest(key, valid)
        text = f"unknown key {key!r}" + (f"; did you mean {hint!r}?" if hint else ".")
        return text + f" Valid keys: {', '.join(valid)}."
    if kind == "missing":
        return f"the key {key!r} is missing"
    if kind == "value_error":
        return str(problem["msg"]).removeprefix("Value error, ")
    if kind == "literal_error":
        expected = str(problem["ctx"]["expected"])
        valid = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
        hint = nearest(str(problem["input"]), valid) if len(valid) > 1 else None
        return f"expected {expected}" + (f"; did you mean {hint!r}?" if hint else "")
    message = str(problem["msg"]).removeprefix("Input ")
    return str(_EXPECTED.get(kind, f"{message[:1].lower()}{message[1:]}"))


def _at(location: tuple[int | str, ...], content: Mapping[str, Any]) -> Any:
    here: Any = content
    for part in location:
        here = here[part]
    return here


def _written(location: tuple[int | str, ...], content: Mapping[str, Any]) -> tuple[int | str, ...]:
    """The part of a location that is in the file, plus a key that is missing there.

    Pydantic appends the names of the types that it tried.
    """
    here: Any = content
    for position, part in enumerate(location):
        in_table = isinstance(here, Mapping) and part in here
        in_list = isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        if in_table or in_list:
            here = here[part]
        else:
            return location[: position + isinstance(here, Mapping)]
    return location


def _key(location: tuple[int | str, ...]) -> str:
    """Last key of a location, with the place in its list: ``knots[4]``."""
    if not location:
        return ""
    if isinstance(location[-1], int) and len(location) > 1:
        return f"{location[-2]}[{location[-1]}]"
    return str(location[-1])


def _table(location: tuple[int | str, ...], content: Mapping[str, Any]) -> str:
    """The TOML table of a location, e.g. ``[[term]] 3 ('capability_ratio') prior``."""
    parts: list[str] = []
    here: Any = content
    for position, part in enumerate(location):
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(part, int) and isinstance(here, Mapping):
            label = here.get("name") or here.get("feature")
            parts.append(f"{part + 1}" + (f" ({label!r})" if label else ""))
        elif isinstance(here, Mapping):
            parts.append(str(part) if position else f"[{part}]")
        elif isinstance(here, list) and here and isinstance(here[0], Mapping):
            parts.append(f"[[{part}]]")
    return " ".join(parts)


def _keys(model: type[BaseModel] | None) -> list[str]:
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel] | None:
    here: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or here is None:
            continue
        found = None
        for name, field in here.model_fields.items():
            if part in {name, field.alias}:
                found = _inner(field.annotation)
        here = found
    return here


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The table model inside ``tuple[M, ...]``, ``M | None`` or ``M``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {tuple, Union, types.UnionType}:
        for argument in get_args(annotation):
            if (model := _inner(argument)) is not None:
                return model
    return None
