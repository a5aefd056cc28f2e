"""`model`: a specification from Python, by names or by a formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from forecast.errors import ArgumentError, UnknownNameError, items_of, shown
from forecast.features.registry import registered_features
from forecast.modeling.defaults import ERAS
from forecast.modeling.formula import GROUPS, Formula, Parts
from forecast.modeling.spec import ModelSpec

__all__ = ["model"]

#: A name, a piece of a formula, or a table as in a file.
type Part = str | Mapping[str, Any]


def model(
    outcome: str = "onset",
    terms: Iterable[Part] = (),
    effects: Iterable[Part] = (),
    *,
    interactions: Iterable[Part] = (),
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    columns: Mapping[str, str] | None = None,
    eras: Iterable[Mapping[str, Any]] | None = None,
    **rest: Any,
) -> ModelSpec:
    """A model specification from names, or from a formula.

    Parameters
    ----------
    outcome : str
        Outcome (``"onset"``), or a formula: ``"onset ~ capability_ratio + s(peace_years) +
        defense_pact:era + (1|dyad) + mm(state)"``. What is in the formula and what the other
        arguments say add up.
    terms : iterable of str or mapping
        Features or columns by name, pieces of a formula (``"s(peace_years)"``,
        ``"log1p(max(own_expansion, window=5))"``), or tables as ``[[term]]`` has them, or
        ``[[smooth]]`` with ``knots``.
    effects : iterable of str or mapping
        Groups of effects: ``"dyad"``, ``"(1|dyad)"``, ``"mm(state)"``, ``"(0 + pact|era)"``, or
        tables as ``[[varying]]`` has them.
    interactions : iterable of str or mapping
        ``"rivalry:disputes_total"``, or tables as ``[[interaction]]`` has them.
    priors : mapping of str to mapping, optional
        Priors by term, interaction, group of effects or ``"intercept"``: ``{"capability_ratio":
        {"distribution": "laplace", "scale": 0.5}}``.
    columns : mapping of str to str, optional
        Columns of your own panel that are no features, with their family.
    eras : iterable of mapping, optional
        As ``[[era]]``; by default, if a slope varies by era, those of the shipped models from 1946.
    **rest
        Other keys of a model file: ``name``, ``unit``, ``population``, ``years``, ``intercept`` …

    Returns
    -------
    ModelSpec
        What the same file gives; ``spec.to_toml()`` is that file.

    Raises
    ------
    SpecificationError
        Unknown term, family, prior or group, or what the language has no word for; names the
        nearest valid one and, in a formula, the place.
    UnknownNameError
        `priors` names something that is not in the model.
    """
    units = get_args(ModelSpec.model_fields["unit"].annotation)
    parts = Parts(dict(columns or {}), rest.get("unit") if rest.get("unit") in units else None)
    if not isinstance(outcome, str):
        raise ArgumentError(f"outcome={shown(outcome)}: expected an outcome or a formula as text.")
    parts.outcome = Formula(outcome, parts).read()
    if (
        not terms
        and "~" not in outcome
        and parts.outcome in {one.name for one in registered_features()}
    ):
        raise ArgumentError(
            f"outcome={shown(outcome)}: found a feature, expected an outcome and terms:"
            f" fc.model('onset ~ {outcome}'), or fc.model('onset', terms=[{outcome!r}])."
        )
    for what, given, table in (
        ("terms", terms, parts.terms),
        ("effects", effects, parts.varying),
        ("interactions", interactions, parts.interactions),
    ):
        alone = isinstance(given, str | Mapping)
        for one in [given] if alone else items_of(what, given, "names, formulas or tables"):
            if isinstance(one, Mapping):
                (parts.smooths if what == "terms" and "knots" in one else table).append(dict(one))
            elif isinstance(one, str):
                text = f"(1|{one})" if what == "effects" and one in GROUPS else one
                Formula(text, parts).add()
            else:
                raise ArgumentError(f"{what}: found {shown(one)}, expected a name or a table.")
    content = {
        "outcome": parts.outcome,
        "unit": parts.unit,
        "term": parts.terms,
        "smooth": parts.smooths,
        "interaction": parts.interactions,
        "varying": parts.varying,
    }
    by_era = any(g.get("name") == "slope" and not g.get("by") and g.get("structure", "iid") == "iid"
                 for g in parts.varying)  # fmt: skip
    if eras is not None or by_era:
        content["era"] = [dict(era) for era in (ERAS if eras is None else eras)]
    content |= rest
    for name, prior in (priors or {}).items():
        _set_prior(content, name, prior)
    return ModelSpec.from_dict(content, source="model")


def _set_prior(content: dict[str, Any], name: str, prior: Mapping[str, Any]) -> None:
    """Put a prior where it belongs, by name."""
    if not isinstance(prior, Mapping):
        raise ArgumentError(
            f"priors: {name!r} has {shown(prior)}, expected a table such as "
            "{'distribution': 'normal', 'sd': 0.5}."
        )
    if name == "intercept":
        content["intercept"] = dict(prior)
        return
    known = ["intercept"]
    for key in ("term", "smooth", "interaction", "varying"):
        for entry in content[key]:
            known.append(entry["name"])
            if entry["name"] == name:
                entry["scale" if key == "varying" else "prior"] = dict(prior)
                return
    raise UnknownNameError("term or group of effects in priors", name, known)
