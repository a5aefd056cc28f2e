"""Whatever is kept, harmed at every event of the file system: the old or the new, whole.

A few tries of each kind in every run, all of them at night (`-m long`).
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support.crash import Outcome, attempt, copy_tree, leaves, points
from support.kept import KEPT, Kept

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs fork and /proc")

#: Tries of one kind in every run.
SAMPLE = 25


def look(path: Path) -> tuple[object, ...]:
    """All that must stay of a thing that is not ours."""
    about = path.lstat()
    content = ""
    if stat.S_ISLNK(about.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(about.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    when = about.st_mtime_ns
    return about.st_ino, about.st_mode, about.st_uid, about.st_gid, when, content


def holds(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir() or any(path.iterdir())


def put_foreign(folder: Path, elsewhere: Path) -> None:
    """Things of the user, of every kind, in a folder that we write too."""
    (elsewhere / "inside").mkdir(parents=True)
    (elsewhere / "inside" / "thesis.txt").write_text("a thesis")
    (folder / "notes.txt").write_text("mine")
    (folder / "fixed.txt").write_text("read only")
    (folder / "fixed.txt").chmod(0o400)
    (folder / "empty").mkdir()
    (folder / "sub").mkdir(mode=0o750)
    (folder / "sub" / "deep.csv").write_text("1,2")
    (folder / "away").symlink_to(elsewhere / "inside")
    (folder / "file").symlink_to(elsewhere / "inside" / "thesis.txt")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    folder.chmod(0o700)


class Campaign:
    """Tries of one kind: each in a copy of the same folder, and what went wrong in them."""

    def __init__(self, kept: Kept, scratch: Path) -> None:
        self.kept, self.scratch = kept, scratch
        self.template, self.place = scratch / "template", scratch / "try"
        root = self.template / "root"
        root.mkdir(parents=True)
        if kept.before:
            kept.write(root, kept.before)
        elsewhere = self.template / "elsewhere"
        elsewhere.mkdir()
        ours = leaves(root)
        if kept.shared:
            put_foreign(root / kept.shared, elsewhere)
        self.foreign = {os.path.relpath(path, root) for path in elsewhere.rglob("*")}
        if kept.shared:
            self.foreign |= leaves(root) - ours
        self.old = kept.read(root)

    def fresh(self) -> Path:
        shutil.rmtree(self.place, ignore_errors=True)
        copy_tree(self.template, self.place)
        (self.place / "aside").mkdir()
        return self.place / "root"

    def record(self) -> list[tuple[str, str]]:
        """The events of a run with no harm, and what is right after it."""
        self.kept.write(self.fresh(), "B")  # what it imports and computes once is there then
        root = self.fresh()
        seen = self.seen(root)
        outcome = attempt(partial(self.kept.write, root, "B"), root)
        assert outcome.done, outcome.text
        assert not outcome.unseen, f"written by other means than Python: {outcome.unseen}"
        self.new = self.kept.read(root)
        assert (self.new != self.old and self.new is not None) or not self.kept.again
        assert self.seen(root) == seen
        if self.kept.again:
            self.kept.write(root, self.kept.then)
        self.final, self.names = self.kept.read(root), leaves(root)
        return outcome.events

    def seen(self, root: Path) -> dict[str, object]:
        """The user's things as they are, None for one that is gone."""
        there = [name for name in self.foreign if os.path.lexists(root / name)]
        found: dict[str, object] = {name: look(root / name) for name in there}
        if self.kept.shared and (root / self.kept.shared).is_dir():
            # The folder itself: a shell may stand in it.
            about = (root / self.kept.shared).lstat()
            found["."] = (about.st_ino, about.st_mode, about.st_uid)
        return found

    def faults(self, at: int, mode: str) -> Iterator[str]:
        """Try, read, run again: all that is not as it should be."""
        root = self.fresh()
        seen, write = self.seen(root), partial(self.kept.write, root, "B")
        outcome = attempt(write, root, at=at, mode=mode, aside=self.place / "aside")
        yield from wrong_end(outcome, mode, root)
        must = at > self.count or (outcome.done and not self.kept.optional)
        allowed = (self.new,) if must else (self.old, self.new)
        yield from self.wrong_state(root, "after it", *allowed)
        yield from (f"{name} of the user changed" for name in self.differing(seen, root))
        if self.kept.again:
            try:
                self.kept.write(root, self.kept.then)
            except Exception as error:
                yield f"the next run fails: {type(error).__name__}: {error}"
            else:
                yield from self.wrong_state(root, "after the next run", self.final)
                more = leaves(root) - self.names
                # An empty folder in a cache may be anybody's.
                if litter := {name for name in more if holds(root / name)}:
                    yield f"litter: {sorted(litter)}"
                if lost := self.names - leaves(root):
                    yield f"lost: {sorted(lost)}"
                changed = self.differing(seen, root)
                yield from (f"{name} of the user changed by the next run" for name in changed)

    def differing(self, seen: dict[str, object], root: Path) -> list[str]:
        now = self.seen(root)
        return [name for name in seen if seen[name] != now.get(name)]

    def wrong_state(self, root: Path, when: str, *allowed: object) -> Iterator[str]:
        try:
            found = self.kept.read(root)
        except Exception as error:
            yield f"{when} it cannot be read: {type(error).__name__}: {error}"
            return
        if found not in allowed:
            yield f"{when} there is {str(found)[:100]}, expected {str(allowed)[:300]}"

    def run(self, tries: int | None) -> tuple[str, list[str]]:
        """What was tried, in a sentence, and what was wrong."""
        with patch.object(os, "fsync", lambda _: None):  # the power of this process does not go
            events = self.record()
            self.count = len(events)
            chosen = points(events)
            if tries is not None and tries < len(chosen):
                chosen = sorted(random.Random(self.kept.name).sample(chosen, tries))
            found = {point: list(self.faults(*point)) for point in chosen}
        shutil.rmtree(self.scratch)
        wrong = {point: faults for point, faults in found.items() if faults}
        kinds = Counter(
            kind for faults in wrong.values() for kind in {f.split(":")[0] for f in faults}
        )
        told = f"{self.kept.name}: {len(events)} events, {len(found)} tries, {len(wrong)} failures"
        told += "".join(f"; {kind[:60]}: {number}" for kind, number in kinds.items())
        where = ["the beginning", *map(" ".join, events), "the end"]
        return told, [
            f"{mode} at {at} ({where[at]}): {fault}"
            for (at, mode), faults in wrong.items()
            for fault in faults
        ]


def wrong_end(outcome: Outcome, mode: str, root: Path) -> Iterator[str]:
    if not mode.startswith("E"):
        if outcome.error:
            yield f"ended with {outcome.error}: {outcome.text}"
        return
    if outcome.done:
        return
    if not outcome.ours:
        yield f"{outcome.error or 'no error'}, not ours: {outcome.text}"
        return
    reason = {"ENOSPC": "No space left", "EIO": "Input/output error", "EACCES": "Permission denied"}
    if reason[mode] not in outcome.text:
        yield f"the error does not say {reason[mode]!r}: {outcome.text}"
    if str(root) not in outcome.text:
        yield f"the error names no path: {outcome.text}"


def tried(kept: Kept, folder: Path, tries: int | None, tell: Callable[[str, object], None]) -> None:
    told, wrong = Campaign(kept, folder / "campaign").run(tries)
    tell("campaign", told)
    assert not wrong, "\n".join([told, *wrong[:20]])


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_old_or_new_at_some_points(kept: Kept, tmp_path: Path, record_property: Any) -> None:
    tried(kept, tmp_path, SAMPLE, record_property)


@pytest.mark.long
@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_old_or_new_at_every_point(kept: Kept, tmp_path: Path, record_property: Any) -> None:
    tried(kept, tmp_path, None, record_property)
