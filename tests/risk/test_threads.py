"""Eight threads that ask one fit get what one gets, also where they are the first to ask."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from support.known import make_known_fit

import forecast
from forecast.inference.fit import Fit
from forecast.panel.build import load_panel
from forecast.risk.query import forget
from forecast.simulation.scenario import stock_scenarios
from forecast.sources import codes
from forecast.sources.tables import Tables
from forecast.store import open_store

#: The module: `forecast.risk` is the function.
query = import_module("forecast.risk.query")
THREADS = 8


@pytest.fixture(autouse=True)
def _switching() -> Iterator[None]:
    """Threads that take turns often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(usual)
    forget()


@pytest.fixture(scope="module")
def few(tables: Tables) -> Fit:
    """A fit of few rows and draws."""
    rows = {"population": "politically_relevant", "years": (2021, 2025)}
    return make_known_fit(load_panel(data=tables, **rows), draws=40)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(few: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a fit of few draws."""
    place = tmp_path_factory.mktemp("threads")
    open_store(place).save(few)
    return place


def _questions(fit: Fit) -> list[Any]:
    """What is asked, each as a function without arguments."""
    risk, scenario = partial(forecast.risk, fit), stock_scenarios()[0]
    return [
        partial(risk, "USA", "RUS", horizon=3),
        partial(risk, "IND", "PAK", severity="fatal"),
        partial(risk, "RUS", how="any", horizon=2),
        partial(risk, ["IND", "USA"], ["PAK", "CHN"], horizon=5),
        partial(risk, horizon=1),
        partial(risk, "Iran", "Iraq", draws=20),
        partial(forecast.simulate, fit, scenario, horizon=2, draws=10, capability_paths=1),
    ]


def _plain(answer: Any) -> str:
    """All of an answer as text: `repr` of a number is exact."""
    if hasattr(answer, "to_dict"):
        answer = answer.to_dict()
    return repr(answer)


def _alone(folder: Path, fit_id: str) -> list[str]:
    forget()
    return [_plain(ask()) for ask in _questions(open_store(folder).load(fit_id))]


def test_eight_threads_get_what_one_gets(
    folder: Path, few: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each begins with another question, all at once, of a fit that nobody has used yet."""
    expected = _alone(folder, few.id)
    forget()
    codes.state_index.cache_clear()
    fit = open_store(folder).load(few.id)
    questions, start = _questions(fit), Barrier(THREADS)

    def work(number: int) -> list[tuple[int, str]]:
        start.wait()
        order = np.roll(np.arange(len(questions)), number)
        return [(int(i), _plain(questions[i]())) for i in order]

    with ThreadPoolExecutor(THREADS) as pool:
        for answers in pool.map(work, range(THREADS)):
            for i, answer in answers:
                assert answer == expected[i]


class Drawn:
    """What is remembered of a fit, without its draws."""

    nbytes = 100

    def __init__(self, fit: Fit, *, horizon: int, draws: int | None, seed: int) -> None:
        self.horizon, self.seed = horizon, seed


@pytest.fixture
def remembered(few: Fit, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """Outlook of a seed, made or remembered."""
    forget()
    monkeypatch.setattr(import_module("forecast.risk.outlook"), "Outlook", Drawn)
    return lambda seed: query._outlook(few, 1, 10, seed, lambda: None)


def test_many_fits_crowd_each_other_out(
    remembered: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than are remembered: what one thread reads, another lets go."""
    monkeypatch.setattr(query, "_REMEMBERED", 1)
    monkeypatch.setattr(query, "_ROOM", 0)

    def work(number: int) -> None:
        for i in range(number, number + 2000):
            assert remembered(i % 3).seed == i % 3

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


def test_as_many_are_remembered_as_have_room(
    remembered: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(7):
        remembered(seed)
    assert len(query._OUTLOOKS) == 7
    monkeypatch.setattr(query, "_ROOM", 5 * Drawn.nbytes)
    remembered(7)
    assert [seed for _, _, seed in query._OUTLOOKS] == [3, 4, 5, 6, 7]
    monkeypatch.setattr(query, "_ROOM", 0)
    remembered(8)
    assert [seed for _, _, seed in query._OUTLOOKS] == [5, 6, 7, 8]
