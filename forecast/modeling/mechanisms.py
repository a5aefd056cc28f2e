"""`Mechanisms`: what practitioners name, as signs of terms (``data/mechanisms.toml``)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, model_validator

from forecast.documents import Document, Table
from forecast.errors import SpecificationError, UnknownNameError, nearest
from forecast.modeling.terms import Era, Name, Prior, Prose, Scale, Side, Term, _Option
from forecast.paths import data_folder
from forecast.unmeasured import UNMEASURABLE

if TYPE_CHECKING:
    from forecast.modeling.spec import ModelSpec

__all__ = ["Measure", "Mechanism", "Mechanisms", "declared_mechanisms", "with_mechanisms"]

_Unit = Literal[
    "dyad-year", "directed-dyad-year", "state-year", "dispute-dyad", "dispute-dyad-month"
]
_Real = Annotated[float, Field(allow_inf_nan=False)]


class Measure(Table):
    """One term in a model of one outcome, with the sign that a mechanism expects of it.

    Attributes
    ----------
    term : str
        Its name in the model.
    unit, outcome : str
        Of the models that it belongs to.
    feature, options, side, transform
        As in ``[[term]]``; without `feature` it is a column of one's own panel, of `family`.
    sign : {"+", "-"}
    low, high : float
        Values of the feature that are compared.
    short, says : str
        The comparison and the event, for a figure and in a sentence.
    """

    term: Name
    unit: _Unit
    outcome: Name
    sign: Literal["+", "-"]
    low: _Real
    high: _Real
    short: Annotated[Prose, Field(max_length=44)]
    says: Prose
    feature: Name | None = None
    family: str | None = None
    options: dict[str, _Option] = Field(default_factory=dict)
    side: Side = "none"
    transform: Literal["identity", "log1p", "positive"] = "identity"

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        from forecast.features.registry import get_feature

        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} is not below high = {self.high:g}")
        if self.feature is None:
            if self.family is None:
                raise ValueError("without a feature it is a column of one's own: needs a family")
            return self
        feature = get_feature(self.feature)
        feature.check_options(self.options)
        least, most = feature.bounds
        if (least is not None and self.low < least) or (most is not None and self.high > most):
            raise ValueError(
                f"{self.feature} is from {least} to {most}; found low = {self.low:g}, high = "
                f"{self.high:g}"
            )
        one_sided = feature.level in ("state", "directed") and self.unit != "state-year"
        if one_sided != (self.side != "none"):
            raise ValueError(
                f"{self.feature} is a feature of level {feature.level!r}: side = {self.side!r} has "
                f"no meaning in a row of {self.unit}"
            )
        return self

    def table(self, prior: Prior) -> dict[str, Any]:
        """The term as a model file has it."""
        content: dict[str, Any] = {
            "name": self.term, "options": self.options, "side": self.side,
            "transform": self.transform, "missing": "indicator", "if_constant": "drop",
            "prior": prior.model_dump(mode="json"), "reason": f"Expected {self.sign}: {self.says}.",
        }  # fmt: skip
        own = {"family": self.family, "pre_treatment": False}
        return content | (own if self.feature is None else {"feature": self.feature})

    def same_column(self, term: Term) -> bool:
        """Whether a term of a model is what is meant here."""
        if self.feature is None:
            return term.name == self.term
        mine = (self.feature, self.options, self.side, self.transform)
        return mine == (term.feature, term.options, term.side, term.transform)


class Mechanism(Table):
    """What practitioners name: the claim in a sentence, whose it is, and what would refute it.

    One that is `apart` is in no model with the others (the comment in the file says why).
    `forecasts` is the group of terms of ``docs/do-alliances-help.md`` whose gain in forecasts was
    measured, if any is about it.
    """

    name: Name
    title: Prose
    claim: Prose
    sources: Annotated[tuple[Prose, ...], Field(min_length=1)]
    refuted_if: Prose
    apart: StrictBool = False
    forecasts: Literal["pacts", "diffusion", "expansion", "dependency", "commitment"] | None = None
    measures: Annotated[tuple[Measure, ...], Field(alias="measure", min_length=1)]


class Unmeasured(Table):
    """What people ask for and nothing here measures: a name of `UNMEASURABLE`, and the question."""

    name: str
    asks: Prose

    @property
    def why(self) -> str:
        """The reason."""
        return UNMEASURABLE[self.name]

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in UNMEASURABLE:
            hint = nearest(self.name, UNMEASURABLE)
            raise ValueError(
                f"{self.name!r} is not among what nothing measures"
                + (f"; did you mean {hint!r}?" if hint else "")
            )
        return self


class Mechanisms(Document):
    """All of them, and what they share: probability of intervals, eras, priors."""

    level: Annotated[float, Field(gt=0, lt=1)]
    prior: Prior
    scale: Scale
    reason: Prose
    eras: Annotated[tuple[Era, ...], Field(alias="era", min_length=1)]
    mechanisms: Annotated[tuple[Mechanism, ...], Field(alias="mechanism", min_length=1)]
    unmeasured: tuple[Unmeasured, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [mechanism.name for mechanism in self.mechanisms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"[[mechanism]] {name!r} is there {names.count(name)} times")
        keys = [(m.unit, m.outcome, m.term) for _, m in self.measures()]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"[[mechanism.measure]] {key} is there {keys.count(key)} times")
        return self

    def measures(
        self, unit: str | None = None, outcome: str | None = None
    ) -> list[tuple[Mechanism, Measure]]:
        """Measures with their mechanism, of all models or of those of a unit and an outcome."""
        return [
            (mechanism, measure)
            for mechanism in self.mechanisms
            for measure in mechanism.measures
            if unit in (None, measure.unit) and outcome in (None, measure.outcome)
        ]


@cache
def declared_mechanisms() -> Mechanisms:
    """What ``data/mechanisms.toml`` says."""
    return Mechanisms.from_file(data_folder() / "mechanisms.toml", data_folder(), "mechanisms")


def with_mechanisms(spec: ModelSpec, *names: str) -> ModelSpec:
    """The same model with the measures of the mechanisms in the place of its alliance terms.

    Parameters
    ----------
    spec : ModelSpec
        A model of an outcome that a mechanism speaks of.
    *names : str
        Mechanisms; by default all but those that are declared to be fitted apart.

    Returns
    -------
    ModelSpec
        Named ``<model>_mechanisms``, or after those that were asked for: geography, power, society
        and history as they were; every measure of the outcome with the prior of the declaration,
        its slopes varying by the eras of the declaration. A column of one's own that a measure
        names is one if the model has it as a term.

    Raises
    ------
    UnknownNameError
        There is no mechanism of that name; the nearest one is suggested.
    SpecificationError
        None of them speaks of the outcome; names those that there are.
    """
    declared = declared_mechanisms()
    known = [mechanism.name for mechanism in declared.mechanisms]
    for name in names:
        if name not in known:
            raise UnknownNameError("mechanism", name, known)
    own = {term.name for term in spec.terms}
    measures = [
        measure
        for mechanism, measure in declared.measures(spec.unit, spec.outcome)
        if (mechanism.name in names if names else not mechanism.apart)
        and (measure.feature is not None or measure.term in own)
    ]
    if not measures:
        kinds = dict.fromkeys(f"{m.outcome} of a {m.unit}" for _, m in declared.measures())
        raise SpecificationError(
            f"No mechanism{f' of {names}' if names else ''} speaks of the model {spec.name!r} "
            f"({spec.outcome} of a {spec.unit}); they speak of: {', '.join(kinds)}."
        )
    base = spec.without()
    taken = {measure.term for measure in measures}
    twice = [
        term.name
        for term in base.terms
        if term.name in taken or any(measure.same_column(term) for measure in measures)
    ]
    kept = base.without_terms(twice, suffix="measures")
    content = kept.to_dict()
    content |= {
        "name": "_".join([spec.name, *(names or ["mechanisms"])]),
        "era": [era.model_dump(mode="json", exclude_none=True) for era in declared.eras],
        "term": [*content["term"], *(m.table(declared.prior) for m in measures)],
        "varying": [
            *(g.model_dump(mode="json") for g in kept.varying if g.block != "slope"),
            {
                "name": "slope",
                "terms": [m.term for m in measures],
                "scale": declared.scale.model_dump(mode="json"),
                "reason": declared.reason,
            },
        ],
    }
    return type(spec).from_dict(content, source=content["name"])
