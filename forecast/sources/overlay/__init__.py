"""A user's own amendments of a data set: read, put over the data, kept in the user's folder."""

from __future__ import annotations

from forecast.sources.overlay.apply import amend
from forecast.sources.overlay.changes import Amendment, amendment_from_frames, read_amendment

__all__ = ["Amendment", "amend", "amendment_from_frames", "read_amendment"]
