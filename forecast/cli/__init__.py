"""The command line: arguments in, the library's functions called, the answer printed."""

from forecast.cli.ending import main

__all__ = ["main"]
