"""What a model need not say: filled in from the registry of features, or by the defaults.

The reasons of the defaults are in ``docs/specification.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from forecast.errors import nearest, shown

__all__ = ["ERAS", "STEP", "filled", "shipped_terms"]

#: Eras of the shipped models from 1946.
ERAS: tuple[dict[str, Any], ...] = (
    {"name": "cold_war", "first": 1946, "last": 1989},
    {"name": "post_cold_war", "first": 1990, "last": 2013},
    {"name": "renewed_rivalry", "first": 2014},
)
#: Years of a step of a random walk.
STEP = 5
_SCALES = {"dyad": 1.0, "era": 0.3, "year": 0.3, "slope": 0.25}
_OTHER_SCALE = 0.5
_READING = ("feature", "options", "side", "at_entry", "transform", "missing", "if_constant")
_LISTS = {"term": "terms", "smooth": "smooths", "varying": "varying"}


def filled(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a model file with what it leaves out.

    A name alone stands for a table with that name. A term without ``family`` takes what it does not
    say from the registry, and is of the feature of its name, or of what a shipped model of the unit
    calls so. What is no mapping, list or name is left as it is, for the validation to refuse.

    Raises `ValueError`: A term of no family is no registered feature; names the nearest.
    """
    from forecast.panel.types import populations_of, ways_of

    out = {"name": "model", "unit": "dyad-year", "description": "None given."} | dict(content)
    out.setdefault("intercept", {"mean": "base_rate", "sd": 2.5})
    unit = out["unit"]
    if isinstance(unit, str):
        out.setdefault("population", populations_of(unit)[0])
        out.setdefault("under_way", ways_of(unit)[0])
    for alias, name in _LISTS.items():
        key = name if name in out else alias
        entries = out.get(key)
        if isinstance(entries, list | tuple):
            named = [{"name": e} if isinstance(e, str) else e for e in entries]
            fill = _group if alias == "varying" else _entry
            out[key] = [fill(e, unit, alias) if _plain(e) else e for e in named]
    return out


@cache
def shipped_terms(unit: str) -> dict[str, dict[str, Any]]:
    """Terms of the shipped models of a unit by name: of what feature, and how it is read."""
    from forecast.documents import read_toml
    from forecast.paths import models_folder

    found: dict[str, dict[str, Any]] = {}
    for path in sorted(models_folder().glob("*.toml")):
        content = read_toml(path, "model")
        for term in content.get("term", ()) if content.get("unit") == unit else ():
            kept = {key: value for key, value in term.items() if key in _READING}
            found.setdefault(term["name"], kept)
    return found


def _shipped(unit: object) -> dict[str, dict[str, Any]]:
    """Those of the unit, or of pairs and years where there are none or the unit is unknown."""
    return shipped_terms(str(unit)) or shipped_terms("dyad-year")


def _plain(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("name"), str)


def _group(group: Mapping[str, Any], _unit: object, _kind: str) -> dict[str, Any]:
    """A group of effects with its structure and scale."""
    out = dict(group)
    if out["name"] == "era":
        out.setdefault("structure", "random_walk")
    if out.get("structure") == "random_walk":
        out.setdefault("step", STEP)
    out.setdefault("scale", {"sd": _SCALES.get(out["name"], _OTHER_SCALE)})
    return out


def _entry(entry: Mapping[str, Any], unit: object, kind: str) -> dict[str, Any]:
    """A term or smooth with what the registry says of its feature."""
    from forecast.features.gather import EVENTS
    from forecast.features.registry import registered_features

    out, features = dict(entry), {f.name: f for f in registered_features()}
    short = "family" not in out
    if short and "feature" not in out:
        own = {"feature": out["name"]} if out["name"] in features else {}
        out = (own or _shipped(unit).get(out["name"], {})) | out
    feature = features.get(out["feature"]) if isinstance(out.get("feature"), str) else None
    if feature is None:
        if "family" not in out:
            asked = out.get("feature") or out["name"]
            hint = nearest(str(asked), [*features, *_shipped(unit)])
            raise ValueError(
                f"[[{kind}]] {shown(out['name'])}: {shown(asked)} is no registered feature"
                + (f"; did you mean {hint!r}?" if hint else ".")
                + " A column of your own says its family."
            )
        out.setdefault("pre_treatment", False)
        return out
    out.setdefault("family", feature.family)
    out.setdefault("pre_treatment", feature.pre_treatment)
    if short:
        if feature.level in ("state", "directed") and unit == "dyad-year":
            out.setdefault("side", "mean")
        if not feature.needs & EVENTS:
            out.setdefault("at_entry", "current")
        if kind == "term":
            out.setdefault("missing", "indicator")
    return out
