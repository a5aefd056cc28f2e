"""The command line: arguments in, the library's functions called, the answer printed."""

from forecast.cli.commands import app, main

__all__ = ["app", "main"]
