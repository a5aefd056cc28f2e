"""Which of a source's files were given: roles are checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forecast.errors import ArgumentError, UnknownNameError

__all__ = ["given_roles"]


def given_roles(
    files: Mapping[str, Path], roles: Mapping[str, str], *layouts: tuple[str, ...]
) -> tuple[str, ...]:
    """First of the layouts all of whose files were given.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        Path by role.
    roles : mapping of str to str
        What each role of the source is.
    *layouts : tuple of str
        Roles that suffice together, preferred first.

    Raises
    ------
    UnknownNameError
        If a role is not one of the source's.
    ArgumentError
        If no layout is complete.
    """
    for role in files:
        if role not in roles:
            raise UnknownNameError("role", role, roles, f"The roles are {', '.join(roles)}.")
    for layout in layouts:
        if all(role in files for role in layout):
            return layout
    expected = " or ".join(
        " and ".join(f"{role!r} ({roles[role]})" for role in layout) for layout in layouts
    )
    found = ", ".join(map(repr, files)) or "none"
    raise ArgumentError(f"The files given have the roles {found}; expected {expected}.")
