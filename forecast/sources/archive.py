"""One member out of a zip archive, by name only; nothing unsafe is read."""

from __future__ import annotations

import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from forecast.errors import DataError, ForecastError, nearest, shown

__all__ = ["MissingMemberError", "extract", "most_bytes"]

#: An archive of data holds a few dozen members.
MAX_MEMBERS = 10_000
#: Tables of text shrink to a tenth, sparse ones to a fiftieth; a bomb to a thousandth.
MAX_RATIO = 200
#: Below this size the ratio says nothing.
RATIO_FROM = 10_000_000
_BLOCK = 1 << 20


class MissingMemberError(DataError):
    """The archive has no member of that name."""


def extract(
    archive: Path,
    member: Sequence[str],
    target: Path,
    *,
    max_bytes: int,
    rank: Callable[[str], int | None] = lambda name: None,
) -> str:
    """Write one member of a zip archive to a file; gives its file name without folders.

    Several names lead through archives inside the archive. `target` never gets its name from the
    archive. Where the archive has no member of the last name (a release may rename its folder), the
    one that `rank` puts first among the known, if it is unique, is taken; None is unknown. Refused
    is what is no zip archive or a damaged one, an unsafe name in it (absolute, ``..``, a link), and
    a member that is encrypted, larger than `max_bytes` or shrunk by more than a factor of 200.
    """
    name, *inner = member
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpack") as scratch:
        with _damage(archive.name, name):
            opened = zipfile.ZipFile(archive)
        with opened:
            _refuse_unsafe(opened, archive.name)
            info = _member(opened, archive.name, name, rank if not inner else lambda name: None)
            _refuse_bomb(info, archive.name, max_bytes)
            destination = Path(scratch) / "archive.zip" if inner else target
            with destination.open("wb") as sink:
                for block in _blocks(opened, info, archive.name):
                    sink.write(block)
        if not inner:
            return PurePosixPath(info.filename).name
        # The inner archive is called as in the outer one in messages.
        renamed = destination.with_name(PurePosixPath(name).name)
        destination.rename(renamed)
        return extract(renamed, inner, target, max_bytes=max_bytes, rank=rank)


@contextmanager
def _damage(archive: str, member: str) -> Iterator[None]:
    """Errors of ours for whatever a damaged byte leads to.

    zipfile and the decompressors raise a dozen kinds, OSError among them: nothing may be written
    inside the block.
    """
    try:
        yield
    except (ForecastError, FileNotFoundError, PermissionError):
        raise
    except (NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{archive}: {shown(member)} cannot be unpacked ({str(error)[:200]})."
        ) from None
    except Exception as error:
        raise DataError(
            f"{archive}: not a zip archive, or a damaged one ({str(error)[:200]}). Fetch it again."
        ) from None


def _refuse_unsafe(opened: zipfile.ZipFile, archive: str) -> None:
    """Refuse an archive that no publisher of data would make, whichever member is wanted."""
    infos = opened.infolist()
    if len(infos) > MAX_MEMBERS:
        raise DataError(f"{archive}: {len(infos)} members, expected at most {MAX_MEMBERS}.")
    for info in infos:
        # orig_filename: zipfile itself cuts names at a NUL and turns separators round.
        name = info.orig_filename.replace("\\", "/")
        absolute = name.startswith("/") or name[1:2] == ":"
        if absolute or ".." in name.split("/") or "\0" in name:
            raise DataError(
                f"{archive}: the member {shown(info.orig_filename)} would be written outside its"
                " folder; the archive is refused. It is not what a publisher of data makes."
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(
                f"{archive}: the member {shown(name)} is a link; the archive is refused."
            )


def _member(
    opened: zipfile.ZipFile, archive: str, name: str, rank: Callable[[str], int | None]
) -> zipfile.ZipInfo:
    infos = [info for info in opened.infolist() if not info.is_dir()]
    exact = [info for info in infos if info.filename == name]
    if not exact:
        file_name = PurePosixPath(name).name.lower()
        exact = [i for i in infos if PurePosixPath(i.filename).name.lower() == file_name]
    if not exact:
        ranks = {i.filename: rank(PurePosixPath(i.filename).name) for i in infos}
        best = min((r for r in ranks.values() if r is not None), default=None)
        exact = [i for i in infos if best is not None and ranks[i.filename] == best]
    if len(exact) == 1:
        return exact[0]
    names = [info.filename for info in infos]
    if exact:
        several = ", ".join(shown(info.filename) for info in exact[:12])
        raise DataError(f"{archive}: several members could be {name!r}: {several}.")
    near = nearest(name, names)
    hint = f" Did you mean {shown(near)}?" if near else ""
    listed = ", ".join(shown(n) for n in names[:12]) + (", …" if len(names) > 12 else "")
    raise MissingMemberError(
        f"{archive}: no member {name!r}.{hint} It holds {listed or 'nothing'}."
    )


def most_bytes(packed: int) -> int:
    """Bytes that a table can have which shrank to so many."""
    return max(RATIO_FROM, MAX_RATIO * packed)


def _refuse_bomb(info: zipfile.ZipInfo, archive: str, max_bytes: int) -> None:
    if info.flag_bits & 0x1:
        raise DataError(
            f"{archive}: {shown(info.filename)} is encrypted; unpack it and use --from."
        )
    if info.file_size > max_bytes:
        raise DataError(
            f"{archive}: {shown(info.filename)} unpacks to {info.file_size:,} bytes, expected at"
            f" most {max_bytes:,}."
        )
    if info.file_size > most_bytes(info.compress_size):
        raise DataError(
            f"{archive}: {shown(info.filename)} unpacks from {info.compress_size:,} to"
            f" {info.file_size:,} bytes; no table of data shrinks that much."
        )


def _blocks(opened: zipfile.ZipFile, info: zipfile.ZipInfo, archive: str) -> Iterator[bytes]:
    """As many bytes of a member as the directory of the archive promised, and no more."""
    left = info.file_size
    with _damage(archive, info.filename):
        source = opened.open(info)
    with source:
        while True:
            with _damage(archive, info.filename):
                block = source.read(min(_BLOCK, left + 1))
            left -= len(block)
            if left < 0 or not block:
                break
            yield block
    if left != 0:
        raise DataError(
            f"{archive}: {shown(info.filename)} does not have the {info.file_size:,} bytes that the"
            " directory of the archive states."
        )
