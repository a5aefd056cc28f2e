"""Reading a TOML file, and pydantic's errors with the table, the key and the nearest valid name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from forecast.errors import MissingFileError, SpecificationError, nearest

__all__ = ["explain", "read_toml", "validated"]


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


def validated[Model: BaseModel](
    model: type[Model], content: Mapping[str, Any], source: str
) -> Model:
    """Content of a file, named by `source`, under the rules of a model.

    Raises
    ------
    SpecificationError
        One line for each unknown key, wrong value or contradiction, with the nearest valid key.
    """
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        raise SpecificationError(explain(error, content, model, source)) from None


def explain(
    error: ValidationError, content: Mapping[str, Any], model: type[BaseModel], source: str
) -> str:
    """One line per mistake, each naming file, table, key and the nearest valid key."""
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
