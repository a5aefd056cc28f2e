"""How forecasts of a model under each theory did out of sample.

Kept with the theories, made by ``benchmarks/theories.py``, never computed while an answer is made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast.errors import ArtifactError
from forecast.files import write_atomically
from forecast.paths import models_folder

if TYPE_CHECKING:
    from forecast.modeling.spec import ModelSpec

__all__ = ["TheoryScore", "score_of", "scores_file", "write_scores"]


@dataclass(frozen=True)
class TheoryScore:
    """Score of a model under a theory on years that its fits did not know.

    Attributes
    ----------
    model, theory : str
        ``theory`` is empty for the model under its own priors.
    specification : str
        SHA-256 of the specification that was backtested.
    data : str
        Fingerprint of the panel.
    first_year, last_year, refit, draws, seed : int
        Of the backtest.
    rows, events : int
        Forecasts, and how many came true.
    expected : float
        Sum of the probabilities.
    log_score : float
        Sum over rows of the log probability of what happened: larger is better.
    best : str
        The theory with the largest, on the same rows.
    behind, behind_lower, behind_upper : float
        This one's log score less the best one's, and its interval: the wider of a bootstrap by
        year and one by pair.
    level : float
        Probability of the interval.
    """

    model: str
    theory: str
    specification: str
    data: str
    first_year: int
    last_year: int
    refit: int
    draws: int
    seed: int
    rows: int
    events: int
    expected: float
    log_score: float
    best: str
    behind: float
    behind_lower: float
    behind_upper: float
    level: float

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

    Parameters
    ----------
    spec : ModelSpec
        A model under a theory, or under its own priors.
    path : Path, optional
        File of scores; the shipped one by default.

    Raises
    ------
    ArtifactError
        The file is damaged: names it and what is wrong.
    """
    file = path or scores_file()
    if not file.is_file():
        return None
    return _read(file, file.stat().st_mtime_ns).get(spec.sha256)


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int) -> dict[str, TheoryScore]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        names = {field.name for field in fields(TheoryScore)}
        for i, entry in enumerate(content):
            if set(entry) != names:
                odd = sorted(set(entry) ^ names)
                raise ArtifactError(f"{file}: entry {i + 1} lacks, or has besides: {odd}.")
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ArtifactError(f"{file} holds no scores of theories: {error}") from None
    return {entry["specification"]: TheoryScore(**entry) for entry in content}
