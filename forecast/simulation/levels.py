"""Levels of severity of a dispute, each contained in the one before, and what they are called."""

from __future__ import annotations

from typing import Literal

from forecast.errors import UnknownNameError

__all__ = [
    "DEATHS",
    "LEVELS",
    "LEVEL_WORDS",
    "RECORDED_AS",
    "SHORT",
    "Level",
    "as_severity",
    "of_level",
]

Level = Literal["onset", "fatal", "deaths_25", "deaths_1000"]
#: Least class of deaths of each level.
LEVELS: dict[str, int] = {"onset": 0, "fatal": 1, "deaths_25": 2, "deaths_1000": 6}
LEVEL_WORDS = {
    "onset": "a dispute begins",
    "fatal": "a dispute begins that costs at least one life",
    "deaths_25": "a dispute begins that costs more than 25 lives",
    "deaths_1000": "a dispute begins that costs more than 999 lives",
}
#: The same where there is no room.
SHORT = {
    "onset": "any dispute",
    "fatal": "a dispute with a death",
    "deaths_25": "one with more than 25 deaths",
    "deaths_1000": "one with more than 999",
}
#: Outcome whose recording is known, by level: from 25 deaths up it is the same.
RECORDED_AS = {
    "onset": "onset",
    "fatal": "fatal_onset",
    "deaths_25": "deaths_25_onset",
    "deaths_1000": "deaths_25_onset",
}
#: What an onset of a level above the first comes to.
DEATHS = {
    "fatal": "at least one death",
    "deaths_25": "more than 25 deaths",
    "deaths_1000": "more than 999 deaths",
}


def of_level(outcome: str, severity: Level) -> str:
    """What is counted, in words."""
    return outcome if severity == "onset" else f"{outcome} with {DEATHS[severity]} of the two"


def as_severity(level: object) -> Level:
    """Name of a level, checked.

    Raises
    ------
    UnknownNameError
        No such level; names the nearest.
    """
    if not isinstance(level, str) or level not in LEVELS:
        raise UnknownNameError("severity", level, LEVELS, f"The levels are {', '.join(LEVELS)}.")
    return level  # type: ignore[return-value]
