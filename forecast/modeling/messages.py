"""Validation errors in the words of the model file: table, key, what was found, nearest key."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from forecast.errors import nearest

__all__ = ["explain"]


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
    lines: list[str] = []
    for problem in error.errors(include_url=False):
        location = problem["loc"]
        where = _table(location, content)
        key = next((str(part) for part in reversed(location) if isinstance(part, str)), "")
        kind = problem["type"]
        if kind == "extra_forbidden":
            valid = _keys(_model_at(model, location[:-1]))
            hint = nearest(key, valid)
            text = f"unknown key {key!r}" + (f"; did you mean {hint!r}?" if hint else "")
            text += f" Valid keys: {', '.join(valid)}."
        elif kind == "missing":
            text = f"the key {key!r} is missing"
        elif kind == "literal_error":
            expected = str(problem.get("ctx", {}).get("expected", ""))
            valid = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
            hint = nearest(str(problem["input"]), valid)
            text = f"{key} = {problem['input']!r}: expected {expected}"
            text += f"; did you mean {hint!r}?" if hint else ""
        elif kind == "value_error":
            text = problem["msg"].removeprefix("Value error, ")
        else:
            text = f"{key} = {problem['input']!r}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
        line = f"{source}: " + (f"{where}: " if where else "") + text
        if line not in lines:
            lines.append(line)
    return "\n".join(lines)


def _table(location: tuple[int | str, ...], content: Mapping[str, Any]) -> str:
    """The TOML table of a location, e.g. ``[[term]] 3 ('capability_ratio') prior``."""
    parts: list[str] = []
    here: Any = content
    for position, part in enumerate(location):
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            here = None
        if isinstance(part, int):
            label = here.get("name") or here.get("feature") if isinstance(here, Mapping) else None
            parts.append(f"{part + 1}" + (f" ({label!r})" if label else ""))
        elif isinstance(here, Mapping):
            parts.append(part if position else f"[{part}]")
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
