"""Parts of a model specification: one class for each table of a file in ``models/``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import numpy as np
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_serializer,
    model_validator,
)

from forecast.arrays import BoolArray, IntArray
from forecast.documents import Table, Year
from forecast.modeling.priors import ScalePrior, Tail
from forecast.panel.columns import Side

__all__ = [
    "ALLIANCE_FAMILIES", "OTHER_FAMILIES", "AllianceFeature", "AllianceLevel", "Era", "Exclusion",
    "Interaction", "Intercept", "Name", "Prior", "Prose", "Scale", "Side", "Smooth", "Term",
    "Varying",
]  # fmt: skip

_AllianceFamily = Literal[
    "expansion", "dependency", "commitment", "deterrence", "reliability", "structure"
]
_OtherFamily = Literal["geography", "power", "society", "history"]
_Family = Literal[_AllianceFamily, _OtherFamily]
#: Feature families that are about alliances: what the comparison model leaves out.
ALLIANCE_FAMILIES: tuple[str, ...] = get_args(_AllianceFamily)
#: Every other family that a term may be of.
OTHER_FAMILIES: tuple[str, ...] = get_args(_OtherFamily)

# Files and columns are called by it, a user's own among them.
_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
Name = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=200)]
Prose = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]
_Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
_Transform = Literal["identity", "log", "log1p", "sqrt", "positive"]
_Option = StrictBool | StrictInt | _Real | StrictStr | tuple[StrictStr, ...] | None


#: The reason of what a model does not give one for.
UNREASONED = "The default, or not told."

#: Keys of each distribution; those of value None must be given.
_KEYS: dict[str, dict[str, float | None]] = {
    "normal": {"sd": None},
    "student_t": {"scale": None, "df": 4.0},
    "laplace": {"scale": None},
    "half_normal": {"sd": None},
    "half_t": {"scale": None, "df": 4.0},
    "exponential": {"scale": None},
    "horseshoe": {"scale": None, "slab": 1.0, "slab_df": 4.0},
}


class _Distribution(Table):
    """A distribution with the keys that are its own, and with no others (see `_KEYS`)."""

    defaults: ClassVar[Mapping[str, float]] = {}
    distribution: str
    sd: _Positive | None = None
    scale: _Positive | None = None
    df: _Positive | None = None

    @model_validator(mode="before")
    @classmethod
    def _own_keys(cls, given: Any) -> Any:
        """Fill in what a distribution need not say, and refuse the keys of others."""
        if not isinstance(given, Mapping):
            return given
        name = given.get("distribution", cls.model_fields["distribution"].default)
        if name not in get_args(cls.model_fields["distribution"].annotation):
            return given  # pydantic names those that there are
        own = _KEYS[name]
        every = {key for keys in _KEYS.values() for key in keys} & set(cls.model_fields)
        default = {key: value for key, value in own.items() if value is not None}
        default |= {key: value for key, value in cls.defaults.items() if key in own}
        foreign = sorted(key for key in (every - set(own)) & set(given) if given[key] is not None)
        missing = [key for key in own if key not in default and given.get(key) is None]
        if foreign or missing:
            wrong = f"has no key {foreign[0]!r}" if foreign else f"needs the key {missing[0]!r}"
            raise ValueError(f"distribution {name!r} {wrong}; its keys are {', '.join(own)}")
        return default | dict(given)

    @model_serializer(mode="wrap")
    def _own_values(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}

    @property
    def width(self) -> float:
        """Standard deviation of a normal distribution, scale of another."""
        value = self.scale if self.sd is None else self.sd
        assert value is not None
        return value


class _Coefficient(_Distribution):
    """Prior of a coefficient: ``normal``, ``student_t`` or ``laplace``."""

    distribution: Literal["normal", "student_t", "laplace"] = "normal"

    @property
    def tail(self) -> Tail | None:
        """The tails of the prior; None for a normal one."""
        if self.distribution == "normal":
            return None
        return Tail(self.distribution, np.inf if self.df is None else self.df)

    def told(self, mean: float | str) -> str:
        """The prior in a word, about `mean`."""
        name = {"normal": "Normal", "student_t": "StudentT", "laplace": "Laplace"}
        more = f", df={self.df:g}" if self.df is not None else ""
        center = mean if isinstance(mean, str) else f"{mean:g}"
        return f"{name[self.distribution]}({center}, {self.width:g}{more})"


class Prior(_Coefficient):
    """Prior of a population-level coefficient on the standardised scale."""

    mean: _Real = 0.0

    def __str__(self) -> str:
        return self.told(self.mean)


class Scale(_Distribution):
    """Prior of the standard deviation of a group of effects.

    ``half_normal``, ``half_t``, ``exponential`` (`scale` is its mean), or a regularised
    ``horseshoe``: see `forecast.modeling.priors.ScalePrior`.
    """

    distribution: Literal["half_normal", "half_t", "exponential", "horseshoe"] = "half_normal"
    slab: _Positive | None = None
    slab_df: _Positive | None = None

    @property
    def prior(self) -> ScalePrior:
        """The same as numbers."""
        df = self.slab_df or self.df or np.inf
        return ScalePrior(self.width, self.distribution, df, self.slab or np.inf)


class Intercept(_Coefficient):
    """Prior of the intercept.

    ``mean = "base_rate"``: the logit of the sample's onset rate, p. ``"marginal_base_rate"``:
    lower (for a rare outcome) by as much as the spread of the other priors needs for the onset
    rate to be about p *before* any outcome is seen: with linear predictors that spread, the mean
    of the probabilities lies far above the probability at the mean.
    """

    defaults: ClassVar[Mapping[str, float]] = {"sd": 1.0}
    mean: _Real | Literal["base_rate", "marginal_base_rate"] = "base_rate"
    reason: Prose = UNREASONED

    def __str__(self) -> str:
        return self.told(self.mean)


class Era(Table):
    """Named span of years, both ends included; an era without `last` is open."""

    name: Name
    first: Year
    last: Year | None = None

    def holds(self, year: IntArray) -> BoolArray:
        """Which years are in the era, (n,)."""
        last = np.inf if self.last is None else self.last
        return np.asarray((year >= self.first) & (year <= last))


class Exclusion(Table):
    """Span of years, both ends included, whose rows are not fitted (world wars, say).

    What happened in them still enters the histories of later rows, and they can be forecast.
    """

    first: Year
    last: Year
    reason: Prose = UNREASONED

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"ends ({self.last}) before it begins ({self.first})")
        return self


class Term(Table):
    """One population-level term: a feature, how it enters, its prior and the reason for it.

    `feature` may be left out for a column that the panel already holds under `name`.
    ``at_entry = "current"``: in the first year of a state, which had no state of affairs the year
    before, the value is that of the year itself (see `FeatureRequest`).
    """

    name: Name
    feature: Name | None = None
    options: dict[str, _Option] = Field(default_factory=dict)
    side: Side = "none"
    at_entry: Literal["missing", "current"] = "missing"
    transform: _Transform = "identity"
    missing: Literal["error", "indicator", "drop"] = "error"
    if_constant: Literal["error", "drop"] = "error"
    family: _Family
    pre_treatment: StrictBool
    prior: Prior = Prior(sd=1.0)
    reason: Prose = UNREASONED


#: What rows with a dispute under way have of their own, where a model does not say.
UNDER_WAY = Term(
    name="under_way",
    feature="under_way",
    if_constant="drop",
    family="history",
    pre_treatment=False,
    prior=Prior(sd=1.5),
    reason="Whether two states that are in a dispute begin a further one beside it is another "
    "question than whether two at peace begin one: wide, and of either sign.",
)


class Smooth(Table):
    """Natural cubic spline of a feature, with fixed knots on the feature's own scale.

    Without `knots` they are at quantiles of the rows of the fit: .05, .275, .5, .725 and .95
    (Harrell 2015, *Regression Modeling Strategies*, table 2.3).
    """

    name: Name
    feature: Name | None = None
    options: dict[str, _Option] = Field(default_factory=dict)
    side: Side = "none"
    at_entry: Literal["missing", "current"] = "missing"
    basis: Literal["natural_cubic"] = "natural_cubic"
    transform: Literal["identity", "log1p", "sqrt"] = "identity"
    knots: Annotated[tuple[_Real, ...], Field(min_length=3)] | None = None
    family: _Family
    pre_treatment: StrictBool
    prior: Prior = Prior(sd=1.0)
    reason: Prose = UNREASONED

    @model_validator(mode="after")
    def _knots_increase(self) -> Self:
        if self.knots is None:
            return self
        if any(b <= a for a, b in pairwise(self.knots)):
            raise ValueError(f"knots must increase strictly, found {list(self.knots)}")
        if self.transform != "identity" and self.knots[0] < 0:
            raise ValueError(f"knots must be >= 0 under transform {self.transform!r}")
        return self


class Interaction(Table):
    """Product of the standardised columns of two terms (or of a smooth and a term).

    It belongs to what its terms belong to: of an alliance family if either is, ``pre_treatment``
    only if both are, and gone when either is.
    """

    name: Name
    of: tuple[Name, Name]
    if_constant: Literal["error", "drop"] = "error"
    prior: Prior = Prior(sd=0.5)
    reason: Prose = UNREASONED


class Varying(Table):
    """A group of effects with one scale.

    ``state`` (the same effect for both sides of a dyad), ``challenger`` and ``target``
    (directed dyads), ``dyad``, ``dispute`` (rows of one dispute), ``era`` (a random walk over
    steps of `step` years), ``year`` (what all rows of one year share, drawn anew every year) or
    ``slope`` (the coefficients of `terms`, or of all terms of
    `families`, vary; ``"alliance:<feature>"`` is one of the alliance-level regression).

    Slopes vary by `[[era]]`; or, with ``structure = "random_walk"``, by steps of `step` years,
    each coefficient on a walk of its own, all with one scale; or by stratum, the combinations of
    the binary terms in `by`. A model may have several groups of slopes that vary in different
    ways.
    """

    name: Literal["state", "challenger", "target", "dyad", "dispute", "era", "year", "slope"]
    structure: Literal["iid", "random_walk"] = "iid"
    step: Year | None = None
    terms: tuple[StrictStr, ...] = ()
    families: tuple[_Family, ...] = ()
    by: tuple[Name, ...] = ()
    scale: Scale
    reason: Prose = UNREASONED

    @property
    def block(self) -> str:
        """Name of the group's effects and scale in the posterior; slopes say how they vary."""
        if self.name == "slope" and self.structure == "random_walk":
            return "slope_walk"
        return "_by_".join((self.name, *(("_".join(self.by),) if self.by else ())))

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        walk = self.structure == "random_walk"
        if self.name != "slope" and walk != (self.name == "era"):
            raise ValueError(
                'structure = "random_walk" is that of name = "era", may be that of "slope", and '
                f"of nothing else; found {self.structure!r} for {self.name!r}"
            )
        if walk != (self.step is not None):
            raise ValueError("step (years) is needed for a random walk and for nothing else")
        if self.by and (self.name != "slope" or walk):
            raise ValueError(
                'by (binary terms) is for name = "slope" without structure = "random_walk" only'
            )
        if walk and self.scale.distribution == "horseshoe":
            raise ValueError("a horseshoe is for independent effects, not for a random walk")
        if (self.name == "slope") != bool(self.terms or self.families):
            raise ValueError('terms or families are needed for name = "slope" and for nothing else')
        return self


class AllianceFeature(Table):
    """One treaty-level feature in the regression of the treaties' effects."""

    feature: Name
    transform: _Transform = "identity"
    missing: Literal["error", "mean"] = "error"
    reason: Prose = UNREASONED


class AllianceLevel(Table):
    """Alliance multiple membership: sum over treaties of weight x theta_treaty.

    theta ~ Normal(X_treaty gamma, tau), gamma ~ `prior`, tau ~ `scale`.
    """

    weights: Literal["share", "one"]
    options: dict[str, _Option] = Field(default_factory=dict)
    feature: Annotated[tuple[AllianceFeature, ...], Field(min_length=1)]
    pre_treatment: StrictBool
    prior: Prior
    scale: Scale
    reason: Prose = UNREASONED
