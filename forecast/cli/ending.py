"""How a command ends: its exit code, and one sentence where it did not do what was asked.

Nothing heavy is imported before the signals are ours, so that Ctrl-C is answered at any moment.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from forecast.cli.exit_codes import (
    BAD_INPUT,
    CLOSED,
    DONE,
    INTERNAL,
    INTERRUPTED,
    REFUSED,
    TERMINATED,
)

__all__ = ["main"]

#: Seconds that an interrupted command has to tidy up.
_GRACE = 3.0
#: A longer message is cut: the last resort, values are cut where a message is made.
_MOST = 2_000


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        ``sys.argv[1:]`` by default, and then the signals of the process are its own.
    """
    stops = _Stops()
    try:
        if arguments is None:
            stops.begin()
            warnings.formatwarning = lambda message, *_, **__: f"Note: {message}\n"
        code = _run(sys.argv[1:] if arguments is None else arguments, stops)
        stops.over = True
        return code
    except BaseException as error:  # interrupted while another error was told
        if not isinstance(error, KeyboardInterrupt) and not stops.number:
            raise
        return stops.told()


class _Stops:
    """Ctrl-C and SIGTERM: an interruption first, the end of the process a little later.

    The second signal, one that comes in a finaliser, where Python would lose it, and one that
    is not answered in time end the process at once. What is kept is whole at any moment.
    """

    def __init__(self) -> None:
        self.number = 0  # the signal that came
        self.over = False  # nothing is left that could be interrupted
        self._said = False
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def begin(self) -> None:
        """Take the signals of this process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # One that the parent has turned off stays off (`nohup`, a job in the background).
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._came)
        sys.unraisablehook = self._lost
        self._ends = bell, ear = socket.socketpair()
        bell.setblocking(False)
        # Written to by the system itself: heard while compiled code has the main thread, too.
        signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(ear,), daemon=True).start()

    def told(self) -> int:
        """Say it, once; the exit code."""
        if not self._said:
            self._said = True
            how = "Terminated" if self.number == signal.SIGTERM else "Interrupted"
            with suppress(OSError):
                os.write(2, f"{how}; nothing was half-written.\n".encode())
        return TERMINATED if self.number == signal.SIGTERM else INTERRUPTED

    def _came(self, number: int, _frame: FrameType | None) -> None:
        if self.number or self.over:
            self._leave()
        self.number = number
        raise KeyboardInterrupt

    def _lost(self, unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            self._leave()
        sys.__unraisablehook__(unraisable)

    def _watch(self, ear: socket.socket) -> None:
        while heard := ear.recv(1):
            if heard[0] in (signal.SIGINT, signal.SIGTERM):
                time.sleep(_GRACE)
                self.number = self.number or heard[0]
                self._leave()

    def _leave(self) -> NoReturn:
        code = self.told()
        with suppress(BaseException):
            for child in sys.modules["multiprocessing"].active_children():
                child.kill()
        os._exit(code)


def _run(arguments: list[str], stops: _Stops) -> int:
    """Run a command, and say how it ended."""
    from forecast.cli.terminal import open_closed, use_stand_ins

    open_closed()
    use_stand_ins()
    before, sys.stdout = sys.stdout, (out := _Output(sys.stdout))
    try:
        code, message = _called(arguments)
    except BaseException as error:
        if stops.number or isinstance(error, KeyboardInterrupt):
            code, message = stops.told(), ""
        else:
            code, message = _ending(error)
    else:
        if stops.number:  # a library has swallowed the interruption
            code, message = stops.told(), ""
    finally:
        sys.stdout = before
    unwritten = out.ended()
    if isinstance(unwritten, BrokenPipeError):
        return CLOSED
    if unwritten is not None:
        code, message = BAD_INPUT, f"The output cannot be written: {unwritten.strerror}."
    _say(message)
    return code


class _Output:
    """Standard output that remembers what kept text from being written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._failed: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, as the stream does."""
        return int(self._noted(self._stream.write, text))

    def flush(self) -> None:
        """Write what is in the buffer, as the stream does."""
        self._noted(self._stream.flush)

    def ended(self) -> OSError | None:
        """What kept text from being written; no more of it is tried."""
        with suppress(OSError):
            self.flush()
        if self._failed is not None:
            _abandon(self._stream)
        return self._failed

    def _noted(self, function: Callable[..., Any], *given: str) -> Any:
        try:
            return function(*given)
        except OSError as error:
            self._failed = self._failed or error
            raise


def _called(arguments: list[str]) -> tuple[int, str]:
    """Exit code and message of a command that raises nothing."""
    for place, argument in enumerate(arguments, start=1):
        _check_argument(place, argument)
    from forecast.cli.commands import app

    try:
        code = app(arguments, standalone_mode=False, prog_name="forecast")
    except SystemExit as error:  # of a library
        code = error.code
    return (code if isinstance(code, int) else DONE), ""


def _check_argument(place: int, argument: str) -> None:
    """What no command can use, whatever it stands for."""
    from forecast.errors import ArgumentError, shown

    if not argument.strip() or (argument.startswith("--") and argument.endswith("=")):
        raise ArgumentError(
            f"Argument {place} of the command line, {shown(argument)}, is empty: expected a value."
        )
    if any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in argument):
        raise ArgumentError(
            f"Argument {place} of the command line, {shown(argument)}, holds control characters,"
            " or bytes that are not UTF-8: expected text."
        )


def _ending(error: BaseException) -> tuple[int, str]:
    """Exit code and message of a command that has failed."""
    from typer.exceptions import Abort, TyperException

    from forecast.errors import ForecastError, GateRefusedError

    if isinstance(error, GateRefusedError):
        return REFUSED, str(error)
    if isinstance(error, ForecastError):
        return BAD_INPUT, f"{type(error).__name__}: {error}"
    if isinstance(error, TyperException):
        # Empty where a command group was called alone: its help is on the terminal already.
        message = error.format_message()
        return BAD_INPUT, f"Error: {message}" if message else ""
    if isinstance(error, Abort):
        return INTERRUPTED, "Interrupted; nothing was half-written."
    if isinstance(error, MemoryError):
        return BAD_INPUT, f"There is not enough memory. {error}".rstrip()
    if isinstance(error, OSError):
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        said = f"{' -> '.join(names)}: {error.strerror}" if names else error.strerror or str(error)
        return BAD_INPUT, f"{type(error).__name__}: {said}."
    import traceback

    lines = "".join(traceback.format_exception(error))
    return INTERNAL, f"{lines}Internal error. Please report it with the lines above."


def _abandon(stream: Any) -> None:
    """Let a stream lead nowhere: what is in its buffer would fail once more when Python ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _say(message: str) -> None:
    """Print a message on standard error, if that can be written to."""
    from forecast.cli.terminal import say

    if not message:
        return
    if len(message) > _MOST and not message.startswith("Traceback"):
        half = _MOST // 2
        cut = f" … ({len(message) - 2 * half:,} characters left out) … "
        message = message[:half] + cut + message[-half:]
    try:
        say(message, err=True)
    except OSError:
        _abandon(sys.stderr)
