"""Gibler-Miller-Little corrected Militarized Interstate Disputes.

Releases 2.1.1 and 2.2.1 as directed dyad-dispute-years (``gml-ddy-disputes``, ``gml_dirdisp``, or
reduced to one dispute for each pair and year, ``gml_mid_ddydisps``); release 2.0 as disputes and
participants (``gml-mida``, ``gml-midb``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from forecast.sources.official.cow_mid import participant_spells, read_participants
from forecast.sources.official.disputes import opposed_pairs
from forecast.sources.official.dyad_years import read_dyad_years
from forecast.sources.official.roles import given_roles
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

CODE_SYSTEM = "cow"

ROLES: Mapping[str, str] = {
    "directed_dyad_disputes": "gml-ddy-disputes-2.1.1.csv or gml_dirdisp, directed "
    "dyad-dispute-years: dispnum, ccode1, ccode2, year, midonset, sidea1, sidea2, orig1, orig2, "
    "hostlev, fatality",
    "mida": "gml-mida-2.0.csv, disputes: dispnum3, st*/end* dates, outcome, settle, fatality, "
    "hostlev, recip",
    "midb": "gml-midb-2.0.csv or gml_part, participants: dispnum, ccode, st*/end* dates, sidea, "
    "orig",
}


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Conflicts; disputes and participants of release 2.0.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role (`ROLES`): ``directed_dyad_disputes``, where ``midb`` of the same release adds
        the days of each pair; or ``mida`` and ``midb``.

    Returns
    -------
    list of Reading
        Dispute and pair are one row of ``conflicts`` for each spell; level and class of deaths
        are those of the dispute. The last year covered is the last one listed.

    Raises
    ------
    ArgumentError, DataError, MissingFileError
    """
    layout = given_roles(files, ROLES, ("directed_dyad_disputes",), ("mida", "midb"))
    if "mida" in layout:
        return read_participants(
            files["mida"],
            files["midb"],
            number="dispnum3",
            prefix="gml",
            label="GML MID",
            coarsen=True,
        )
    dated = None
    notes: tuple[str, ...] = ()
    if "midb" in files:
        participants, notes = participant_spells(files["midb"], coarsen=True)
        dated = opposed_pairs(participants)
    path = files["directed_dyad_disputes"]
    reading = read_dyad_years(path, prefix="gml", label="GML MID", dated=dated)
    return [replace(reading, notes=(*reading.notes, *notes))]
