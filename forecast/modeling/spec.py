"""`ModelSpec`: what a file in ``models/`` says, validated strictly, with a canonical form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from forecast.documents import Document, Year, toml_of, toml_text
from forecast.errors import ArgumentError, SpecificationError, UnknownNameError, wrong_type
from forecast.modeling.consistency import check_consistency, check_features, refuse_unmeasured
from forecast.modeling.defaults import filled
from forecast.modeling.terms import (
    ALLIANCE_FAMILIES,
    OTHER_FAMILIES,
    UNDER_WAY,
    AllianceLevel,
    Era,
    Exclusion,
    Interaction,
    Intercept,
    Name,
    Prose,
    Smooth,
    Term,
    Varying,
)
from forecast.panel.types import CHOICES, Population, Succession, UnderWay, ways_of
from forecast.paths import models_folder

if TYPE_CHECKING:
    from forecast.modeling.theory import Theory

__all__ = ["ModelSpec", "default_model", "load_model"]


class ModelSpec(Document):
    """A model: sample, terms, smooths and varying effects, each with its prior and reason.

    Attributes are the keys of the TOML file; the arrays of tables ``[[era]]``, ``[[exclude]]``,
    ``[[term]]``, ``[[smooth]]``, ``[[interaction]]`` and ``[[varying]]`` are `eras`,
    `exclusions`, `terms`, `smooths`, `interactions` and `varying`.
    """

    name: Name = "model"
    description: Prose
    unit: Literal[
        "dyad-year", "directed-dyad-year", "state-year", "dispute-dyad", "dispute-dyad-month",
        "dispute-dyad-year", "onset-level",
    ]  # fmt: skip
    population: Population
    outcome: Name = "onset"
    lag: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    under_way: UnderWay = "stratum"
    succession: Succession = "continue"
    years: tuple[Year | None, Year | None] = (None, None)
    exclusions: tuple[Exclusion, ...] = Field(default=(), alias="exclude")
    intercept: Intercept
    eras: tuple[Era, ...] = Field(default=(), alias="era")
    terms: tuple[Term, ...] = Field(default=(), alias="term")
    smooths: tuple[Smooth, ...] = Field(default=(), alias="smooth")
    interactions: tuple[Interaction, ...] = Field(default=(), alias="interaction")
    varying: tuple[Varying, ...] = ()
    alliance_level: AllianceLevel | None = None

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, content: Any) -> Any:
        return filled(content) if isinstance(content, Mapping) else content

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_consistency(self)
        return self

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, source: str = "model") -> Self:
        """Validate a mapping as read from TOML or JSON, which an error calls `source`.

        Raises
        ------
        SpecificationError
            For every unknown key, wrong value or contradiction, with the nearest valid key.
        """
        refuse_unmeasured(content, source)
        spec = super().from_dict(content, source=source)
        check_features(spec, source)
        return spec

    def to_toml(self) -> str:
        """The text of a file from which `forecast.load_model` reads this specification.

        Everything is written out, what was left to the defaults too.

        Raises
        ------
        ArgumentError
            TOML has no word for something in it: a window that is open at one end, an option of
            None.
        """
        content = {key: value for key, value in self.to_dict().items() if value not in ([], {})}
        if self.years == (None, None):
            del content["years"]
        for key in ("term", "smooth", "varying"):
            for entry in content.get(key, ()):
                for name in [name for name, value in entry.items() if value in ([], {})]:
                    del entry[name]
        text = toml_text(content)
        try:
            again = ModelSpec.from_dict(toml_of(text, self.name), source=self.name)
        except SpecificationError:
            again = None
        if again != self:
            raise ArgumentError(
                f"Model {self.name!r} has a value of None that no TOML can say: in years = "
                f"{self.years}, or in the options of a term"
            )
        return text

    def canonical_json(self) -> str:
        """Sorted, compact JSON of everything that changes the model.

        Descriptions and reasons are left out, and 5 and 5.0 are the same number: a better
        sentence does not make a new model.
        """
        content = self.to_dict()
        for key in ("interaction", "exclude"):  # came later: models without keep their hash
            if not content[key]:
                del content[key]
        if len(ways_of(self.unit)) == 1 or self.under_way == "convention":
            del content["under_way"]  # came later too: these rows are those of before
        for entry in (*content["term"], *content["smooth"]):
            if entry["at_entry"] == "missing":
                del entry["at_entry"]
        for group in content["varying"]:
            if not group["by"]:
                del group["by"]
        return json.dumps(
            _canonical(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )

    @property
    def sha256(self) -> str:
        """Hex digest of `canonical_json`; part of a fit's id."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    @property
    def choices(self) -> dict[str, Any]:
        """Arguments of `forecast.load_panel` that give the panel of the model."""
        return {name: getattr(self, name) for name in CHOICES}

    @property
    def entries(self) -> tuple[Term | Smooth, ...]:
        """Terms, then smooths: everything that reads one feature."""
        return (*self.terms, *self.smooths)

    @property
    def own_terms(self) -> tuple[str, ...]:
        """Names of terms and smooths that are no registered features but columns of a panel."""
        return tuple(entry.name for entry in self.entries if entry.feature is None)

    def slope_terms(self, block: str = "slope") -> tuple[str, ...]:
        """Names of what has a coefficient that varies as the groups of a `Varying.block` say.

        Terms by name or family, then interactions and treaty features by name.
        """
        groups = [group for group in self.varying if group.block == block]
        chosen = {name for group in groups for name in group.terms}
        families = {family for group in groups for family in group.families}
        terms = (t.name for t in self.terms if t.name in chosen or t.family in families)
        others = (*(i.name for i in self.interactions), *self.treaty_columns())
        return (*terms, *(name for name in others if name in chosen))

    def family_of(self, name: str) -> str:
        """Family of a term or smooth, or of an interaction: the alliance one of its two."""
        families = {entry.name: str(entry.family) for entry in self.entries}
        for interaction in self.interactions:
            first, second = (families[part] for part in interaction.of)
            later = second in ALLIANCE_FAMILIES and first not in ALLIANCE_FAMILIES
            families[interaction.name] = second if later else first
        if name not in families:
            raise UnknownNameError("term", name, families)
        return families[name]

    def treaty_columns(self) -> tuple[str, ...]:
        """Design columns of the alliance-level regression: ``"alliance:<feature>"``."""
        level = self.alliance_level
        return () if level is None else tuple(f"alliance:{f.feature}" for f in level.feature)

    def with_outcome(self, outcome: str) -> ModelSpec:
        """The same terms and priors for another outcome of the same unit.

        The causes of an end are modelled so, one binary hazard for each: ``resolution`` with
        ``settled``, ``stalemated`` or ``yielded``.

        Parameters
        ----------
        outcome : str
            Outcome of a panel of the unit; the name of the model gets it as a suffix.

        Raises
        ------
        SpecificationError
            The outcome is no name, or one that no source here measures.
        """
        if outcome == self.outcome:
            return self
        content = self.to_dict() | {"outcome": outcome, "name": f"{self.name}_{outcome}"}
        return ModelSpec.from_dict(content, source=self.name)

    def with_under_way(self, rule: UnderWay) -> ModelSpec:
        """The same model of the rows of another rule, for a comparison of the two.

        Parameters
        ----------
        rule : {"stratum", "drop", "convention"}
            As in `forecast.load_panel`; the name of the model gets it as a suffix. With
            ``"stratum"`` a model without a term of the feature ``under_way`` is given one; with
            the others such a term goes, since no row has the value 1 but those, by the
            convention, that were chosen because an onset came.
        """
        if rule == self.under_way:
            return self
        content = self.to_dict() | {"under_way": rule, "name": f"{self.name}_{rule}"}
        own = [t.name for t in self.entries if t.feature == UNDER_WAY.feature]
        if rule == "stratum":
            content["term"] += [] if own else [UNDER_WAY.model_dump(mode="json")]
            return ModelSpec.model_validate(content)
        kept = {t.name for t in self.entries} - set(own)
        return ModelSpec.model_validate(content)._keep(kept, name=content["name"])

    def with_population(self, population: Population) -> ModelSpec:
        """The same model of other pairs: politically relevant ones, say, or those of a region.

        Parameters
        ----------
        population : str
            As in `forecast.load_panel`; the name of the model gets it as a suffix. A term that
            tells these pairs from others goes, and so do slopes by it: all rows are such pairs,
            and the few that were not the year before are no stratum. Other terms that are constant
            in these rows must say ``if_constant = "drop"``.
        """
        if population == self.population:
            return self
        content = self.to_dict()
        content |= {"population": population, "name": f"{self.name}_{population}"}
        kept = {t.name for t in self.entries if (t.feature or t.name) != population}
        return ModelSpec.from_dict(content, source=self.name)._keep(kept, name=content["name"])

    def without(self, family: str | Iterable[str] = ALLIANCE_FAMILIES) -> ModelSpec:
        """The same model without the terms of some families (default: all alliance families).

        Parameters
        ----------
        family : str or iterable of str
            Families to leave out. When every alliance family is left out, so is the
            alliance-level regression.
        """
        gone = {family} if isinstance(family, str) else set(family)
        known = {*ALLIANCE_FAMILIES, *OTHER_FAMILIES}
        for name in sorted(gone - known):
            raise UnknownNameError("feature family", name, known)
        suffix = "alliances" if gone == set(ALLIANCE_FAMILIES) else "_".join(sorted(gone))
        return self._keep(
            {t.name for t in self.entries if t.family not in gone},
            alliance_level=not gone >= set(ALLIANCE_FAMILIES),
            name=f"{self.name}_without_{suffix}",
        )

    def under(self, theory: str | Path | Theory) -> ModelSpec:
        """The same model with the priors of a theory: see `forecast.modeling.theory.under`."""
        from forecast.modeling.theory import under

        return under(self, theory)

    def with_mechanisms(self, *names: str) -> ModelSpec:
        """The same model with the mechanisms that practitioners name in the place of its alliances.

        See `forecast.modeling.mechanisms.with_mechanisms`.
        """
        from forecast.modeling.mechanisms import with_mechanisms

        return with_mechanisms(self, *names)

    def without_terms(self, terms: Iterable[str], *, suffix: str) -> ModelSpec:
        """The same model without some terms or smooths, and without interactions of them.

        Parameters
        ----------
        terms : iterable of str
            Names of entries.
        suffix : str
            The model's name becomes ``<name>_without_<suffix>``.
        """
        gone, known = set(terms), {entry.name for entry in self.entries}
        for name in sorted(gone - known):
            raise UnknownNameError("term", name, known)
        return self._keep(known - gone, name=f"{self.name}_without_{suffix}")

    def what_if(self) -> ModelSpec:
        """The same model with only the terms marked ``pre_treatment``.

        What an alliance itself changes (peace years, dispute history) would absorb part of
        the effect of a hypothetical alliance, so a what-if leaves it out.
        """
        level = self.alliance_level
        return self._keep(
            {t.name for t in self.entries if t.pre_treatment},
            alliance_level=level is not None and level.pre_treatment,
            name=f"{self.name}_what_if",
        )

    def _keep(self, names: set[str], *, name: str, alliance_level: bool = True) -> ModelSpec:
        """The same model with the terms and smooths of some names, and what can stay with them."""
        interactions = tuple(i for i in self.interactions if set(i.of) <= names)
        kept_columns = names | {i.name for i in interactions}
        kept_columns |= set(self.treaty_columns()) if alliance_level else set()
        varying: list[Varying] = []
        for group in self.varying:
            if group.name != "slope":
                varying.append(group)
                continue
            slopes = tuple(t for t in self.slope_terms(group.block) if t in kept_columns)
            strata = tuple(t for t in group.by if t in names)
            if slopes and bool(strata) == bool(group.by):
                changes = {"terms": slopes, "families": (), "by": strata}
                varying.append(group.model_copy(update=changes))
        kept = self.model_copy(
            update={
                "name": name,
                "terms": tuple(t for t in self.terms if t.name in names),
                "smooths": tuple(s for s in self.smooths if s.name in names),
                "interactions": interactions,
                "varying": tuple(varying),
                "alliance_level": self.alliance_level if alliance_level else None,
            }
        )
        return ModelSpec.model_validate(kept.to_dict())


def default_model(data: str | Path) -> str:
    """Name of the dyad-year model of some data: its eras are those that they cover."""
    return "dyad_onset_historical" if data == "historical" else "dyad_onset"


def load_model(model: str | Path | ModelSpec) -> ModelSpec:
    """Model specification by name or path.

    Parameters
    ----------
    model : str, Path or ModelSpec
        Name of a shipped model (``"dyad_onset"``), with another outcome after a colon
        (``"resolution:stalemated"``), path of a TOML file, or a specification, which is returned
        as it is.

    Raises
    ------
    UnknownNameError
        No shipped model has that name; the nearest one is suggested.
    MissingFileError
        A path that does not exist.
    SpecificationError
        The file is not TOML, has an unknown key, a wrong value or a contradiction.
    """
    if isinstance(model, ModelSpec):
        return model
    if not isinstance(model, str | Path):
        raise wrong_type(
            "model", model, "a ModelSpec, the name of a model or the path of its file."
        )
    name, _, outcome = str(model).partition(":")
    if outcome and isinstance(model, str) and Path(model).name == model.removesuffix(".toml"):
        return load_model(name).with_outcome(outcome)
    return ModelSpec.from_file(model, models_folder(), "model")


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _canonical(v) for k, v in value.items() if k not in {"reason", "description"}}
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
