"""What the tables of a specification must agree on, with each other and with the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from forecast.errors import ArgumentError, SpecificationError, UnknownNameError, nearest
from forecast.panel.types import ways_of

if TYPE_CHECKING:
    from forecast.modeling.spec import ModelSpec
    from forecast.modeling.terms import Era

__all__ = ["check_consistency", "check_features", "refuse_unmeasured"]

#: Groups of effects that make sense in each unit of analysis.
_OF_DISPUTES = ("state", "dyad", "dispute", "era", "year", "slope")
_GROUPS: dict[str, tuple[str, ...]] = {
    "dyad-year": ("state", "dyad", "era", "year", "slope"),
    "directed-dyad-year": ("state", "challenger", "target", "dyad", "era", "year", "slope"),
    "state-year": ("state", "era", "year", "slope"),
    "dispute-dyad": _OF_DISPUTES,
    "dispute-dyad-month": _OF_DISPUTES,
    "dispute-dyad-year": _OF_DISPUTES,
    "onset-level": _OF_DISPUTES,
}

_RESERVED = frozenset(
    {"intercept", "outcome", "year", "ccode", "ccode_a", "ccode_b", "conflict_id", "row"}
)


def check_consistency(spec: ModelSpec) -> None:
    """Refuse contradictions between tables that are each valid on their own.

    Raises `ValueError`: Window, eras, terms or varying effects that cannot be; pydantic carries the
    message.
    """
    first, last = spec.years
    if first is not None and last is not None and last < first:
        raise ValueError(f"years: the window ends before it begins, found [{first}, {last}]")
    if spec.under_way not in ways_of(spec.unit):
        raise ValueError(
            f"under_way={spec.under_way!r} needs a unit of pairs and years, found {spec.unit!r}: "
            "no other leaves rows out for a dispute that goes on"
        )
    _check_eras(spec.eras)
    _check_terms(spec)
    _check_interactions(spec)
    _check_varying(spec)
    if spec.alliance_level is not None and spec.unit != "state-year":
        raise ValueError(f"[alliance_level] needs unit 'state-year', found {spec.unit!r}")


def _check_eras(eras: tuple[Era, ...]) -> None:
    names = [era.name for era in eras]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"[[era]] {name!r} appears {names.count(name)} times")
    for era in eras:
        if era.last is not None and era.last < era.first:
            raise ValueError(f"[[era]] {era.name!r} ends ({era.last}) before it begins")
    for one, two in pairwise(eras):
        if one.last is None:
            raise ValueError(
                f"[[era]] {one.name!r} has no `last`, but only the last era may be open"
            )
        if two.first <= one.last:
            raise ValueError(
                f"[[era]] {one.name!r} ({one.first}-{one.last}) and {two.name!r} "
                f"({two.first}-{two.last or ''}) overlap or are out of order"
            )


def _check_terms(spec: ModelSpec) -> None:
    names = [t.name for t in spec.entries]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the term name {name!r} appears {names.count(name)} times")
        if name in _RESERVED:
            raise ValueError(f"{name!r} cannot name a term: it is a column of every panel")
    used = {t.feature for t in spec.entries}
    if {"autonomy", "external_share"} <= used:
        raise ValueError(
            "autonomy and external_share are in the same model, but autonomy = 1 - "
            "external_share: keep one of them"
        )
    seen: dict[str, str] = {}
    for term in spec.terms:
        feature = term.feature or term.name
        key = f"{feature}{sorted(term.options.items())}{term.side}{term.transform}"
        if key in seen:
            raise ValueError(f"terms {seen[key]!r} and {term.name!r} are the same column")
        seen[key] = term.name


def _meant(name: str, valid: Iterable[str]) -> str:
    """A name that is not known, with the nearest that is."""
    hint = nearest(name, valid)
    return repr(name) + (f"; did you mean {hint!r}?" if hint else "")


def _check_interactions(spec: ModelSpec) -> None:
    terms = [entry.name for entry in spec.entries]
    smooths = {smooth.name for smooth in spec.smooths}
    names = [*terms, *(i.name for i in spec.interactions)]
    seen: dict[frozenset[str], str] = {}
    for interaction in spec.interactions:
        where = f"[[interaction]] {interaction.name!r}"
        if names.count(interaction.name) > 1 or interaction.name in _RESERVED:
            raise ValueError(f"{where}: the name is taken by another term or column")
        for name in interaction.of:
            if name not in terms:
                raise ValueError(
                    f"{where}: unknown term {_meant(name, terms)}"
                    " (each of the two must be a [[term]] or [[smooth]] of the model)"
                )
        pair = frozenset(interaction.of)
        if len(pair) < 2:
            raise ValueError(f"{where}: expected two different terms, found {interaction.of[0]!r}")
        if pair <= smooths:
            raise ValueError(f"{where}: at most one of the two may be a smooth")
        if pair in seen:
            raise ValueError(f"{where} and {seen[pair]!r} are the same product")
        seen[pair] = interaction.name


def _check_varying(spec: ModelSpec) -> None:
    groups = [group.block for group in spec.varying]
    for group in spec.varying:
        if groups.count(group.block) > 1:
            raise ValueError(
                f"[[varying]] {group.name!r} appears {groups.count(group.block)} times"
                + (" with the same way of varying" if group.name == "slope" else "")
            )
        if group.name not in _GROUPS[spec.unit]:
            raise ValueError(
                f"[[varying]] {group.name!r} has no meaning for unit {spec.unit!r}; "
                f"expected one of {list(_GROUPS[spec.unit])}"
            )
        plain = {smooth.name for smooth in spec.smooths}
        products = [i.name for i in spec.interactions if not plain & set(i.of)]
        valid = [*(term.name for term in spec.terms), *products, *spec.treaty_columns()]
        for name in group.terms:
            if name not in valid:
                raise ValueError(f"[[varying]] 'slope': unknown term {_meant(name, valid)}")
        for name in group.by:
            terms = [term.name for term in spec.terms]
            if name not in terms:
                raise ValueError(
                    f"[[varying]] 'slope': by names the unknown term {_meant(name, terms)}"
                )
        absent = set(group.families) - {term.family for term in spec.terms}
        if absent:
            raise ValueError(f"[[varying]] 'slope': no term is of family {sorted(absent)[0]!r}")
    if "slope" in groups and not spec.eras:  # that of steps, and of strata, needs none
        raise ValueError("[[varying]] 'slope' varies by era, but there is no [[era]]")


def refuse_unmeasured(content: Mapping[str, Any], source: str = "model") -> None:
    """Refuse an outcome or a term's feature that no source here measures, however it is written.

    `content` is that of a model file, not yet validated.

    Raises `SpecificationError`: Names file and term, and gives the reason.
    """
    from forecast.features.registry import registered_features
    from forecast.panel.types import OUTCOMES
    from forecast.unmeasured import why_unmeasured

    features = [feature.name for feature in registered_features()]
    entries = (content.get(key) for key in ("term", "smooth"))
    terms = [t for part in entries if isinstance(part, list | tuple) for t in part]
    asked = [("outcome", content.get("outcome"), OUTCOMES)] + [
        (f"term {term.get('name')!r}: feature", term.get("feature", term["name"]), features)
        for term in (t if isinstance(t, Mapping) else {"name": t} for t in terms)
        if "feature" in term or ("name" in term and "family" not in term)
    ]
    for what, name, valid in asked:
        if not isinstance(name, str) or name in valid:
            continue
        if reason := why_unmeasured(name, valid):
            raise SpecificationError(f"{source}: {what} = {name!r}: {reason}")


def check_features(spec: ModelSpec, source: str = "model") -> None:
    """Refuse a term whose feature, option, side, family or marking the registry contradicts.

    A term without `feature` reads a column that the panel holds already, and is not checked.

    Raises `SpecificationError`: Names file, term and the nearest valid name.
    """
    from forecast.features.gather import FeatureRequest

    for term in spec.entries:
        if term.feature is None:
            continue
        where = f"{source}: term {term.name!r}"
        try:
            request = FeatureRequest(term.name, term.feature, dict(term.options), term.side)
        except (UnknownNameError, ArgumentError) as error:
            raise SpecificationError(f"{where}: {error}") from None
        feature = request.spec
        if term.family != feature.family:
            raise SpecificationError(
                f"{where}: family {term.family!r}, but feature {feature.name!r} is of family "
                f"{feature.family!r}"
            )
        if term.pre_treatment and not feature.pre_treatment:
            raise SpecificationError(
                f"{where}: marked pre_treatment, but feature {feature.name!r} is itself changed "
                "by alliances"
            )
        if spec.unit == "state-year":
            if feature.level not in ("state", "system") or term.side != "none":
                raise SpecificationError(
                    f"{where}: feature {feature.name!r} (level {feature.level!r}, side "
                    f"{term.side!r}) has no value in a state-year; expected a state or system "
                    "feature with side 'none'"
                )
        elif feature.level == "state" and term.side == "none":
            raise SpecificationError(
                f"{where}: feature {feature.name!r} has one value for each side of a dyad; side "
                "must be one of a, b, sum, mean, min, max, product, absdiff"
            )
