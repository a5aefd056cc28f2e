"""A specification against the feature registry: names, options, sides, families."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecast.errors import SpecificationError, UnknownNameError, nearest

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
    named = [(t, t.feature) for t in spec.entries if t.feature is not None]
    if not named:
        return
    from forecast.features.registry import get_feature

    for term, name in named:
        where = f"{source}: term {term.name!r}"
        try:
            feature = get_feature(name)
        except UnknownNameError as error:
            raise SpecificationError(f"{where}: {error}") from None
        for option in term.options:
            if option not in feature.options:
                hint = nearest(option, feature.options)
                raise SpecificationError(
                    f"{where}: feature {name!r} has no option {option!r}"
                    + (f"; did you mean {hint!r}?" if hint else "")
                    + f" Valid options: {', '.join(feature.options) or 'none'}."
                )
        if term.family != feature.family:
            raise SpecificationError(
                f"{where}: family {term.family!r}, but feature {name!r} is of family "
                f"{feature.family!r}"
            )
        if term.pre_treatment and not feature.pre_treatment:
            raise SpecificationError(
                f"{where}: marked pre_treatment, but feature {name!r} is itself changed "
                "by alliances"
            )
        one_sided = spec.unit == "state-year" or feature.level == "dyad"
        if one_sided != (term.side == "none"):
            raise SpecificationError(
                f"{where}: side = {term.side!r}, but feature {name!r} is of level "
                f"{feature.level!r} in a model of unit {spec.unit!r}: expected "
                + ("'none'" if one_sided else "'a', 'b', 'sum', 'mean', 'min', 'max' or 'absdiff'")
            )
