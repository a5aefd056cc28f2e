"""How a command ends: interrupted at any moment, before full, closed and legacy devices."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.tries import TRIES

from forecast import cli
from forecast.cli.exit_codes import CODES

INTERRUPTED = Path(__file__).parents[1] / "support" / "interrupted.py"
#: Calls of `forecast features`, most of them in imports.
CALLS = 150_000
SAID = {
    signal.SIGINT: (130, "Interrupted; nothing was half-written.\n"),
    signal.SIGTERM: (143, "Terminated; nothing was half-written.\n"),
}


def _ends(
    command: list[str], *, stdout: object = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "forecast.cli", *command],
        stdout=stdout, stderr=subprocess.PIPE, env=os.environ | environment, check=False,
    )  # type: ignore[call-overload, no-any-return]  # fmt: skip


@pytest.mark.parametrize(("number", "times"), [(2, 1), (2, 2), (15, 1)])
def test_a_signal_at_any_call_ends_with_its_code_and_sentence(number: int, times: int) -> None:
    random_calls = random.Random(number * times)
    # Evenly over the logarithm: the beginning, too.
    calls = {int(CALLS ** random_calls.random()) + 1 for _ in range(max(4, TRIES // 20))}
    done = subprocess.run(
        [sys.executable, INTERRUPTED, ",".join(map(str, sorted(calls))), str(number), str(times),
         "features"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    code, sentence = SAID[signal.Signals(number)]
    assert [call for call, *_ in found] == sorted(calls)
    assert [one for one in found if one[1:] != [code, sentence]] == []


@pytest.mark.parametrize("encoding", ["ascii", "cp850", "shift_jis"])
def test_legacy_code_pages(encoding: str) -> None:
    environment = {"PYTHONUTF8": "0", "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    for command, code in ((["cases"], 0), (["fit", "Türkiye–\u2603−é"], 1)):
        done = _ends(command, **environment)
        assert done.returncode == code, done.stderr
        (done.stdout + done.stderr).decode(encoding)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("command", [["features", "--json"], ["--help"]])
def test_a_full_device_is_told_and_a_reader_that_left_is_not(command: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = _ends(command, stdout=full)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"The output cannot be written: No space left on device." in done.stderr
    read, write = os.pipe()
    os.close(read)
    done = _ends(command, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_closed_streams_end_as_if_nobody_read(tmp_path: Path) -> None:
    line = f'exec "{sys.executable}" -m forecast.cli "$@" <&- >&- 2>&-'
    for command, code in ((["features"], 0), (["fit", "none"], 1)):
        done = subprocess.run(["sh", "-c", line, "sh", *command], cwd=tmp_path, check=False)
        assert done.returncode == code


def test_errors_of_the_system_name_the_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, told in (
        (OSError(28, "No space left on device", "/there/x"), "/there/x: No space left on device"),
        (PermissionError(13, "Permission denied", "/there/y"), "/there/y: Permission denied"),
        (MemoryError(), "not enough memory"),
    ):

        def fails(error: BaseException = error, **_: object) -> None:
            raise error

        monkeypatch.setattr("forecast.run.fit_and_save", fails)
        assert cli.main(["fit", "--quiet"]) == 1
        shown = capsys.readouterr().err
        assert told in shown
        assert shown.count("\n") == 1


def test_messages_are_cut_and_command_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from forecast.errors import DataError

    def fails(**_: object) -> None:
        raise DataError("\x1b[31mred\x9b2J\u202e" + "x" * 300_000 + "end")

    monkeypatch.setattr("forecast.run.fit_and_save", fails)
    assert cli.main(["fit", "--quiet"]) == 1
    shown = capsys.readouterr().err
    assert len(shown) < 2_200
    assert shown.strip().isprintable()
    assert shown.strip().endswith("end")


def test_tables_take_no_markup_or_commands_from_data(capsys: pytest.CaptureFixture[str]) -> None:
    import pandas as pd

    from forecast.cli.terminal import print_json, print_table

    print_table(pd.DataFrame({"[/]": ["[bold]a[/nothing]", "\x1b[2J"]}), title="[/oops]")
    shown = capsys.readouterr().out
    assert "[bold]a[/nothing]" in shown and "\x1b" not in shown and "[/oops]" in shown
    print_json({"name": "\x1b\x9b\u202e"})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"name": "\x1b\x9b\u202e"}
    assert "\x9b" not in shown


def test_every_exit_code_is_in_the_help_and_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for code, meaning in CODES.items():
        assert f"{code} {meaning.split(',')[0].split(' (')[0]}" in told
        assert f"\n| {code} | " in page
