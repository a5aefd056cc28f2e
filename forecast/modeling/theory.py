"""`Theory`: a named set of priors for the alliance terms of a model (``models/theories``).

How forecasts of a model under each theory did out of sample is kept with them, made by
``benchmarks/theories.py``, never computed while an answer is made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from forecast.disk import write_atomically
from forecast.documents import Document, Table, Year, checked, read_json
from forecast.errors import ArtifactError, SpecificationError, nearest, shown
from forecast.modeling.terms import ALLIANCE_FAMILIES, Name, Prior, Prose
from forecast.paths import models_folder

if TYPE_CHECKING:
    from forecast.modeling.spec import ModelSpec

__all__ = [
    "Theory", "TheoryScore", "TheoryTerm", "load_theory", "score_of", "scores_file", "theories",
    "under", "write_scores",
]  # fmt: skip


class TheoryTerm(Table):
    """What a theory expects of one alliance term or product of a model.

    `prior` is that of the coefficient on the standardised input; `source` what is published,
    `reason` how it was translated.
    """

    name: Name
    prior: Prior
    source: Prose
    reason: Prose


class Theory(Document):
    """Priors of the alliance terms of a model, with sources.

    Attributes are the keys of the TOML file; ``[[term]]`` is `terms`.

    Attributes
    ----------
    name, description, reason : str
    others : {"keep", "remove"} or Prior
        What becomes of the alliance terms that are not named: the model's own prior, out, or
        this one.
    learnt_from : tuple of int, optional
        First and last year of the conflicts from which the priors were estimated: those of a
        fit that has them too are counted twice by its marginal likelihood.
    terms : tuple of TheoryTerm
    """

    name: Name
    description: Prose
    others: Literal["keep", "remove"] | Prior
    learnt_from: tuple[Year, Year] | None = None
    reason: Prose
    terms: Annotated[tuple[TheoryTerm, ...], Field(alias="term")] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [term.name for term in self.terms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"[[term]] {twice[0]!r} is there {names.count(twice[0])} times")
        if self.others == "keep" and not names:
            raise ValueError('others = "keep" without a [[term]] changes no prior')
        if self.others == "remove" and names:
            raise ValueError(
                f'others = "remove" leaves no alliance term, found [[term]] {names[0]!r}; for '
                "next to none of the others give them a prior of small sd"
            )
        if self.learnt_from is not None and self.learnt_from[1] < self.learnt_from[0]:
            raise ValueError(f"learnt_from = {list(self.learnt_from)} ends before it begins")
        return self


def theories() -> tuple[str, ...]:
    """Names of the shipped theories, in alphabetical order."""
    return tuple(sorted(file.stem for file in (models_folder() / "theories").glob("*.toml")))


def load_theory(theory: str | Path | Theory) -> Theory:
    """Theory by name or path.

    Parameters
    ----------
    theory : str, Path or Theory
        Name of a shipped theory (``"deterrence"``), path of a TOML file, or a theory, which is
        returned as it is.

    Raises
    ------
    UnknownNameError
        No shipped theory has that name; the nearest one is suggested.
    MissingFileError
        A path that does not exist.
    SpecificationError
        The file is not TOML, has an unknown key, a wrong value or a contradiction.
    """
    if isinstance(theory, Theory):
        return theory
    return Theory.from_file(theory, models_folder() / "theories", "theory")


def under(spec: ModelSpec, theory: str | Path | Theory) -> ModelSpec:
    """The same model with the priors of a theory for its alliance terms.

    Parameters
    ----------
    spec : ModelSpec
        A model with alliance terms.
    theory : str, Path or Theory
        See `load_theory`.

    Returns
    -------
    ModelSpec
        Named ``<model>_under_<theory>``, so that a fit of it has an id of its own. Effects that
        vary (slopes by era or stratum) keep their scales; an alliance-level regression keeps its
        prior, and goes where all alliance terms go.

    Raises
    ------
    SpecificationError
        The theory names a term that the model has not, or one that is not about alliances; or the
        model has no alliance terms.
    """
    chosen = load_theory(theory)
    entries = (*spec.entries, *spec.interactions)
    every = [entry.name for entry in entries]
    about = [name for name in every if spec.family_of(name) in ALLIANCE_FAMILIES]
    if not about and not spec.treaty_columns():
        raise SpecificationError(
            f"The model {spec.name!r} has no alliance terms: theory {chosen.name!r} is about them."
        )
    priors = {term.name: term for term in chosen.terms}
    for name in priors:
        if name not in about:
            raise SpecificationError(_not_there(chosen, spec, name, every, about))
    title = f"{spec.name}_under_{chosen.name}"
    if chosen.others == "remove":
        spec = spec.without()
    content = spec.to_dict() | {"name": title}
    for entry in (*content["term"], *content["smooth"], *content["interaction"]):
        own = priors.get(entry["name"])
        if own is not None:
            entry |= {"prior": own.prior.model_dump(mode="json"), "reason": own.reason}
        elif entry["name"] in about and isinstance(chosen.others, Prior):
            entry |= {"prior": chosen.others.model_dump(mode="json"), "reason": chosen.reason}
    return type(spec).from_dict(content, source=title)


def _not_there(
    theory: Theory, spec: ModelSpec, name: str, every: list[str], about: list[str]
) -> str:
    what = f"Theory {theory.name!r} has a prior of {name!r}, "
    if name in every:
        what += f"which in the model {spec.name!r} is not about alliances"
    else:
        what += f"a term that the model {spec.name!r} has not"
    near = nearest(name, about)
    return (
        what
        + (f"; did you mean {near!r}?" if near else ".")
        + f" Its alliance terms: {', '.join(about)}."
    )


@dataclass(frozen=True)
class TheoryScore:
    """Score of a model under a theory on years that its fits did not know."""

    model: str
    theory: str  # empty for the model under its own priors
    specification: str  # SHA-256 of the one that was backtested
    data: str  # fingerprint of the panel
    first_year: int  # of the backtest
    last_year: int
    refit: int
    draws: int
    seed: int
    rows: int  # forecasts
    events: int  # of them that came true
    expected: float  # sum of the probabilities
    log_score: float  # sum over rows of the log probability of what happened: larger is better
    best: str  # the theory with the largest, on the same rows
    #: This one's log score less the best one's, and its interval: the wider of a bootstrap by year
    #: and one by pair.
    behind: float
    behind_lower: float
    behind_upper: float
    level: float  # probability of the interval

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self)


def scores_file() -> Path:
    """Where the scores of the shipped theories are."""
    return models_folder() / "theories" / "scores.json"


def write_scores(scores: Sequence[TheoryScore], path: Path | None = None) -> None:
    """Write scores in the place of those that are there."""
    text = json.dumps([score.to_dict() for score in scores], indent=1, ensure_ascii=False)
    write_atomically(path or scores_file(), (text + "\n").encode())


def score_of(spec: ModelSpec, path: Path | None = None) -> TheoryScore | None:
    """Score of exactly this specification, or None: one of another would say nothing of it.

    Raises `ArtifactError`: The file is damaged: names it and what is wrong.
    """
    file = path or scores_file()
    if not file.is_file():
        return None
    return _read(file, file.stat().st_mtime_ns).get(spec.sha256)


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int) -> dict[str, TheoryScore]:
    content = read_json(file, "file")
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise ArtifactError(f"{file} holds no scores of theories: found {shown(content)}.")
    names = {field.name for field in fields(TheoryScore)}
    found: dict[str, TheoryScore] = {}
    for i, entry in enumerate(content):
        if odd := sorted(set(entry) ^ names):
            raise ArtifactError(f"{file}: entry {i + 1} lacks, or has besides: {shown(odd)}.")
        score = checked(TheoryScore, entry, f"{file}: entry {i + 1}", wrong=ArtifactError)
        found[score.specification] = score
    return found
