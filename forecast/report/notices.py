"""What the report says first: the user's amendments, years of the data, scenarios left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from forecast.sources.tables import amended_words

if TYPE_CHECKING:
    from forecast.simulation.scenario import Scenario
    from forecast.sources.tables import Tables

__all__ = ["data_notices"]


def data_notices(
    tables: Tables, *, origin: int, horizon: int, left_out: Sequence[Scenario] = ()
) -> list[str]:
    """Sentences that say what the user amended and which years the historical data are about.

    Parameters
    ----------
    tables : Tables
        The data set.
    origin : int
        Last year of the record of conflicts.
    horizon : int
        Years ahead.
    left_out : sequence of Scenario
        Scenarios that cannot apply to these years.
    """
    own = [words] if (words := amended_words(tables.vintage)) else []
    skipped = _skipped(left_out, _years(origin, horizon))
    if tables.name != "historical":
        return [*own, *skipped]
    covers = tables.coverage

    def named(table: str) -> str:
        cover = covers[table]
        since = f", changes after {cover.amended_after} from the embedded data"
        more = since if cover.amended_after is not None else ""
        return f"{cover.first}–{cover.last} ({cover.source} {cover.version}{more})"

    years = _years(origin, horizon)
    sentences = [
        f"Official sources: conflicts {named('conflicts')}; alliances {named('members')}; state"
        f" system {named('states')}; capabilities {named('capabilities')}. The record of conflicts"
        f" ends in {origin}: the forecast is for {years}, not for today."
    ]
    if min(covers["members"].last, covers["states"].last) > origin:
        sentences.append(
            f"States, borders and alliances of {years} are those on record, which nobody knew in"
            f" {origin}; capabilities and conflicts are simulated."
        )
    return [*own, *sentences, *skipped]


def _years(origin: int, horizon: int) -> str:
    first, last = origin + 1, origin + horizon
    return str(first) if first == last else f"{first}–{last}"


def _skipped(scenarios: Sequence[Scenario], years: str) -> list[str]:
    if not scenarios:
        return []
    names = "; ".join(scenario.name for scenario in scenarios)
    return [f"Stock scenarios that cannot apply to a forecast for {years}: {names}."]
