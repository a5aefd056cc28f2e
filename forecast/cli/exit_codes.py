"""The exit codes of the command line."""

from __future__ import annotations

__all__ = [
    "BAD_INPUT", "CLOSED", "CODES", "DONE", "INTERNAL", "INTERRUPTED", "REFUSED", "TERMINATED",
]  # fmt: skip

DONE, BAD_INPUT, REFUSED, INTERNAL = 0, 1, 2, 3
INTERRUPTED, CLOSED, TERMINATED = 130, 141, 143

#: Every exit code with its meaning, as the help says it.
CODES = {
    DONE: "done",
    BAD_INPUT: "bad input, or something that cannot be read, written or held in memory",
    REFUSED: "the publication gate refused the fit",
    INTERNAL: "internal error",
    INTERRUPTED: "interrupted (Ctrl-C)",
    CLOSED: "whoever read the output has left (`| head`)",
    TERMINATED: "terminated",
}
