"""Runs `forecast` with the arguments given, and sends itself a signal at one of its calls.

``python interrupted.py CALL,CALL,… SIGNAL TIMES COMMAND…``: for each number of a call a process of
its own, which prints a line of JSON: the call, the exit code, and what was said on standard error.
Forked where little is imported yet: most calls of a short command are those of its imports.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile

from forecast.cli import main


def run(call: int, number: int, times: int, command: list[str], err: int) -> None:
    """The command as a process of its own, with the signal `times` times from that call on."""
    os.dup2(err, 2)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["forecast", *command]
    seen = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal seen
        # From the moment on at which the command has taken the signals.
        if event == "call" and (seen or signal.getsignal(signal.SIGINT) != before):
            seen += 1
            if call <= seen < call + 50 * times and not (seen - call) % 50:
                os.kill(os.getpid(), number)

    # A shell has its jobs in the background ignore it, which a command respects.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGINT)
    sys.setprofile(count)
    sys.exit(main())


if __name__ == "__main__":
    calls, number, times, *command = sys.argv[1:]
    for call in map(int, calls.split(",")):
        with tempfile.TemporaryFile("w+", encoding="utf-8") as err:
            if not (child := os.fork()):
                run(call, int(number), int(times), command, err.fileno())
            _, status = os.waitpid(child, 0)
            err.seek(0)
            said = err.read()
        print(json.dumps([call, os.waitstatus_to_exitcode(status), said]), flush=True)
