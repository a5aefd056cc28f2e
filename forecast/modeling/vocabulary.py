"""A specification against the feature registry: names, options, sides, families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from forecast.errors import ArgumentError, SpecificationError, UnknownNameError

if TYPE_CHECKING:
    from forecast.modeling.spec import ModelSpec

__all__ = ["check_features", "refuse_unmeasured"]


def refuse_unmeasured(content: Mapping[str, Any], source: str = "model") -> None:
    """Refuse an outcome or a term's feature that no source here measures, however it is written.

    Parameters
    ----------
    content : mapping
        Keys of a model file, not yet validated.
    source : str
        File or name for the message.

    Raises
    ------
    SpecificationError
        Names file and term, and gives the reason.
    """
    from forecast.features.registry import registered_features
    from forecast.panel.options import OUTCOMES
    from forecast.unmeasured import why_unmeasured

    features = [feature.name for feature in registered_features()]
    entries = (content.get(key) for key in ("term", "smooth"))
    terms = [t for part in entries if isinstance(part, list | tuple) for t in part]
    asked = [("outcome", content.get("outcome"), OUTCOMES)] + [
        (f"term {term.get('name')!r}: feature", term.get("feature"), features)
        for term in terms
        if isinstance(term, Mapping)
    ]
    for what, name, valid in asked:
        if not isinstance(name, str) or name in valid:
            continue
        if reason := why_unmeasured(name, valid):
            raise SpecificationError(f"{source}: {what} = {name!r}: {reason}")


def check_features(spec: ModelSpec, source: str = "model") -> None:
    """Refuse a term whose feature, option, side, family or marking the registry contradicts.

    A term without `feature` reads a column that the panel holds already, and is not checked.

    Parameters
    ----------
    spec : ModelSpec
        Specification.
    source : str
        File or name for the message.

    Raises
    ------
    SpecificationError
        Names file, term and the nearest valid name.
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
