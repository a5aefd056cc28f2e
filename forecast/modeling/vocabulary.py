"""A specification against the feature registry: names, options, sides, families."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecast.errors import ArgumentError, SpecificationError, UnknownNameError

if TYPE_CHECKING:
    from forecast.modeling.spec import ModelSpec

__all__ = ["check_features"]


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
