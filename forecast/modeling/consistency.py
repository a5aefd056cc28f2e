"""What the tables of a specification must agree on; broken rules raise ValueError."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from forecast.errors import nearest
from forecast.panel.options import ways_of

if TYPE_CHECKING:
    from forecast.modeling.spec import ModelSpec
    from forecast.modeling.terms import Era

__all__ = ["check_consistency"]

#: Groups of effects that make sense in each unit of analysis.
_GROUPS: dict[str, tuple[str, ...]] = {
    "dyad-year": ("state", "dyad", "era", "year", "slope"),
    "directed-dyad-year": ("state", "challenger", "target", "dyad", "era", "year", "slope"),
    "state-year": ("state", "era", "year", "slope"),
    "dispute-dyad": ("state", "dyad", "dispute", "era", "year", "slope"),
    "dispute-dyad-month": ("state", "dyad", "dispute", "era", "year", "slope"),
    "dispute-dyad-year": ("state", "dyad", "dispute", "era", "year", "slope"),
    "onset-level": ("state", "dyad", "dispute", "era", "year", "slope"),
}

_RESERVED = frozenset(
    {"intercept", "outcome", "year", "ccode", "ccode_a", "ccode_b", "conflict_id", "row"}
)


def check_consistency(spec: ModelSpec) -> None:
    """Refuse contradictions between the tables of a specification.

    Parameters
    ----------
    spec : ModelSpec
        A specification whose tables are each valid on their own.

    Raises
    ------
    ValueError
        Window, eras, terms or varying effects that cannot be; pydantic carries the message.
    """
    _check_window(spec)
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


def _check_window(spec: ModelSpec) -> None:
    first, last = spec.years
    if first is not None and last is not None and last < first:
        raise ValueError(f"years: the window ends before it begins, found [{first}, {last}]")


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
