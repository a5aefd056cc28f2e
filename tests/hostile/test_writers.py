"""Two, four and eight processes that write one target at once: nothing lost, nothing mixed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.crash import Outcome, leaves, start
from support.kept import KEPT, SOURCE, Kept, accept
from support.tries import TRIES

from forecast import exchange, files, folders
from forecast.disk import leaves as leaves_of
from forecast.errors import StorageError
from forecast.files import MARKER, sha256_of, unseal
from forecast.folders import check_target, keep_newest, write_files
from forecast.sources.cache import read_lock

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

WRITERS = (2, 4, 8)
#: Times that the writers start together.
ROUNDS = max(2, TRIES // 50)
#: What is written over by whoever comes later; the draws of a run have one writer by their nature.
SHARED = [kept for kept in KEPT if kept.again and kept.name not in ("source accepted", "fit")]


def together(actions: list[Callable[[], Any]]) -> list[Outcome]:
    """Run each in a process of its own, all of which start at once."""
    reader, writer = os.pipe()

    def wait(action: Callable[[], Any]) -> Any:
        os.close(writer)
        os.read(reader, 1)  # until nobody holds the other end
        return action()

    children = [start(partial(wait, action)) for action in actions]
    os.close(reader)
    os.close(writer)
    return [child.end() for child in children]


def problems(outcomes: list[Outcome]) -> list[str]:
    return [f"{one.error}: {one.text}" for one in outcomes if not one.done]


@pytest.mark.parametrize("kept", SHARED, ids=lambda kept: kept.name)
def test_the_last_of_many_writers_is_whole(kept: Kept, tmp_path: Path) -> None:
    values, names = {}, set()
    for which in "AB":
        root = tmp_path / f"only-{which}"
        root.mkdir()
        for content in (kept.before or which, which):
            kept.write(root, content)
        values[which] = kept.read(root)
        names |= leaves(root)
    for number in WRITERS:
        for turn in range(ROUNDS):
            root = tmp_path / f"{number}-{turn}"
            root.mkdir()
            if kept.before:
                kept.write(root, kept.before)
            contents = "AB" * (number // 2)
            outcomes = together([partial(kept.write, root, which) for which in contents])
            assert not problems(outcomes)
            assert kept.read(root) in values.values()
            assert leaves(root) <= names


@pytest.mark.parametrize("number", WRITERS)
def test_the_first_acceptance_of_a_source_is_decided_once(number: int, tmp_path: Path) -> None:
    for turn in range(ROUNDS):
        root = tmp_path / f"{turn}" / "root"
        root.mkdir(parents=True)
        for which in "AB":  # their files, which are read at once
            accept(tmp_path / f"{turn}" / f"only-{which}", which)
        contents = "AB" * (number // 2)
        outcomes = together([partial(accept, root, which) for which in contents])
        lock = read_lock(root / "cache", SOURCE)
        given = {
            which: {sha256_of(path) for path in (root.parent / f"given-{which}").iterdir()}
            for which in "AB"
        }
        locked = {file.sha256 for file in lock.files.values()}
        assert locked in given.values()
        there = {sha256_of(root / "cache" / SOURCE / file.name) for file in lock.files.values()}
        assert there == locked
        for which, outcome in zip(contents, outcomes, strict=True):
            if given[which] == locked:
                assert outcome.done, outcome.text
            else:
                assert outcome.error == "ChangedFileError", outcome.text
                assert any(sha in outcome.text for sha in locked)
                assert any(sha in outcome.text for sha in given[which])


@pytest.mark.parametrize("number", WRITERS)
def test_files_of_several_writers_in_one_folder_are_all_there(number: int, tmp_path: Path) -> None:
    for turn in range(ROUNDS):
        folder = tmp_path / str(turn)
        each = [{f"{i}.txt": bytes([65 + i]) * 1000, "all.txt": b"x"} for i in range(number)]
        assert not problems(together([partial(write_files, folder, own) for own in each]))
        assert set(unseal(folder, MARKER)["files"]) == {name for own in each for name in own}
        assert leaves(folder) == {MARKER, *(name for own in each for name in own)}


class MadeMeanwhile(type(Path())):  # type: ignore[misc]
    """A folder that another process makes after the first look at it."""

    def _look(self, how: str, **named: bool) -> Any:
        try:
            return getattr(super(), how)(**named)
        finally:
            Path(self).mkdir(exist_ok=True)

    def exists(self, **named: bool) -> Any:
        return self._look("exists", **named)

    def is_dir(self, **named: bool) -> Any:
        return self._look("is_dir", **named)

    def stat(self, **named: bool) -> Any:
        return self._look("stat", **named)


def test_a_folder_that_another_makes_meanwhile_is_no_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_check_place", lambda *_: None)
    check_target(MadeMeanwhile(tmp_path / "out"))
    assert (tmp_path / "out").is_dir()


def test_a_second_writer_waits_and_goes_on_or_is_told_who_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, content = tmp_path / "out", {"a.txt": b"a"}
    holding, told = os.pipe()
    reader, writer = os.pipe()

    def hold() -> None:
        os.close(writer)
        with exchange.held(folder):
            os.write(told, b"!")
            os.read(reader, 1)  # until the other end is closed

    child = start(hold)
    assert os.read(holding, 1) == b"!"
    monkeypatch.setattr(exchange, "WAIT", 0.1)
    who = f"{re.escape(str(folder))} is being written by another.* process {child.pid} on .*UTC"
    with pytest.raises(StorageError, match=who):
        write_files(folder, content)
    assert leaves(folder) == {".alliance-forecast.lock"}
    monkeypatch.setattr(exchange, "WAIT", 60.0)

    def wait() -> None:
        os.close(writer)
        write_files(folder, content)

    waiting = start(wait)
    os.close(writer)
    for number in (holding, told, reader):
        os.close(number)
    assert child.end().done
    assert waiting.end().done
    assert leaves(folder) == {"a.txt", MARKER}


def test_a_folder_that_another_has_just_removed_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It made the folder, and put nothing into it."""

    def removed(folder: Path, **how: bool) -> dict[str, Path]:
        shutil.rmtree(folder)
        return leaves_of(folder, **how)

    for name in ("out", "kept"):
        write_files(tmp_path / name / "one", {"a.txt": b"a"})
    (tmp_path / "out" / "new").mkdir()
    monkeypatch.setattr(folders, "leaves", removed)
    check_target(tmp_path / "out" / "new")
    assert keep_newest(tmp_path / "kept", 0) == 0
    assert not (tmp_path / "kept" / "one").exists()


def test_a_change_that_comes_between_is_no_damage_to_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"a.txt": b"old", "b.txt": b"old"})
    check, new = files.check_file, {"a.txt": b"new", "b.txt": b"new"}

    def check_after_a_change(*args: Any, **named: Any) -> None:
        monkeypatch.setattr(files, "check_file", check)
        write_files(tmp_path, new)
        check(*args, **named)

    monkeypatch.setattr(files, "check_file", check_after_a_change)
    found = unseal(tmp_path, MARKER)
    assert found["files"] == {name: files.facts_of(content) for name, content in new.items()}
