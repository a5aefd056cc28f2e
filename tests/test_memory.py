from __future__ import annotations

from pathlib import Path

import pytest

from forecast import memory
from forecast.errors import ArgumentError
from forecast.evaluation.backtest import BacktestPlan, backtest
from forecast.inference.fit import Fit, fit
from forecast.memory import free_memory, require_memory
from forecast.panel.types import Panel
from forecast.simulation.paired import simulate_all, status_quo

GIB = 2**30


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 2**25)


def test_what_is_there_is_the_least_of_machine_and_groups(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert free_memory(tmp_path) is None
    write("proc/meminfo", "MemTotal: 99 kB\nMemAvailable: 1000000 kB\n")
    assert free_memory(tmp_path) == 1_024_000_000
    write("proc/self/cgroup", "0::/box/inner\n")
    write("sys/fs/cgroup/box/inner/memory.max", "max\n")
    assert free_memory(tmp_path) == 1_024_000_000
    write("sys/fs/cgroup/box/memory.max", "500000000\n")
    write("sys/fs/cgroup/box/memory.current", "200000000\n")
    write("sys/fs/cgroup/box/memory.stat", "anon 1\ninactive_file 50000000\n")
    assert free_memory(tmp_path) == 350_000_000
    write("proc/self/cgroup", "5:cpu,memory:/old\n")
    write("sys/fs/cgroup/memory/old/memory.limit_in_bytes", "300\n")
    write("sys/fs/cgroup/memory/old/memory.usage_in_bytes", "400\n")
    assert free_memory(tmp_path) == 0


def test_a_refusal_says_what_is_needed_and_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 21 * GIB)
    require_memory(20 * GIB, "draws=5")
    with pytest.raises(ArgumentError, match=r"draws=5: needs about 45\.0 GiB.*, 21\.0 GiB are"):
        require_memory(45 * GIB, "draws=5")
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    require_memory(45 * GIB, "draws=5")


@pytest.mark.parametrize("method", ["laplace", "nuts"])
def test_a_fit_is_refused_before_its_draws_are_made(
    little: None, tiny_panel: Panel, known_fit: Fit, method: str
) -> None:
    with pytest.raises(ArgumentError, match=r"draws=1,000,000 of .* needs about"):
        fit("dyad_onset", tiny_panel, seed=1, draws=1_000_000, method=method)  # type: ignore[arg-type]
    # Few enough for any model, too many for this one.
    with pytest.raises(ArgumentError, match=r"draws=20,000 of at least (?!20 )[\d,]+ numbers"):
        fit(known_fit.spec, known_fit.panel, seed=1, draws=20_000)


def test_simulations_are_refused(little: None, known_fit: Fit) -> None:
    for call in (
        lambda: status_quo(known_fit, horizon=20, draws=None, seed=1),
        lambda: simulate_all(known_fit, (), horizon=20),
        lambda: simulate_all(known_fit, (), horizon=1, capability_paths=1000),
    ):
        with pytest.raises(ArgumentError, match=r"horizon=\d+, draws=200, .* needs about"):
            call()


def test_a_backtest_is_refused(little: None, tiny_panel: Panel) -> None:
    plan = BacktestPlan(model="dyad_onset", origins=[2005], seed=1, draws=10_000_000)
    with pytest.raises(ArgumentError, match="draws=10,000,000"):
        backtest(plan, tiny_panel)
