"""Memory: what is free for this process, and a refusal of what would need more before it is asked.

The system would else end the process, or another one, in the middle of the work.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from forecast.errors import ArgumentError

__all__ = ["free_memory", "require_memory"]

_GIB = 2**30
#: A count for each number of a table is no memory to speak of.
_SMALL = 2**24


def require_memory(needs: int, what: str) -> None:
    """Refuse work that needs more memory than is free: about so many bytes, for `what`.

    Raises
    ------
    ArgumentError
        Says what is needed and what is there.
    """
    if needs <= _SMALL:
        return
    free = free_memory()
    if free is not None and needs > free:
        raise ArgumentError(
            f"{what}: needs about {needs / _GIB:,.1f} GiB of memory, {free / _GIB:,.1f} GiB are"
            " free. Ask for less, or on a larger machine."
        )


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still have, by the machine and by its limits; None if unknown."""
    found = [*_of_machine(root), *_of_group(root), *_of_process()]
    return max(0, min(found)) if found else None


def _of_machine(root: Path) -> list[int]:
    """What the system says that programs can have without swapping."""
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return [int(line.split()[1]) * 1024]
    return []


def _of_group(root: Path) -> list[int]:
    """What each control group of the process, such as a container, has left."""
    found = []
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            kind = "" if number == "0" else "memory"
            if kind and "memory" not in controllers.split(","):
                continue
            top = root / "sys/fs/cgroup" / kind
            limit, used = (
                ("memory.limit_in_bytes", "memory.usage_in_bytes")
                if kind
                else ("memory.max", "memory.current")
            )
            group = top / path.lstrip("/")
            for folder in (group, *group.parents):
                with suppress(OSError, ValueError):  # no limit is "max"
                    most = int((folder / limit).read_text())
                    found.append(most - int((folder / used).read_text()) + _cached(folder))
                if folder == top:
                    break
    return found


def _cached(folder: Path) -> int:
    """Bytes of files that a control group gives up when they are needed."""
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text().splitlines():
            if line.split()[:1] in (["inactive_file"], ["total_inactive_file"]):
                return int(line.split()[1])
    return 0


def _of_process() -> list[int]:
    """What a limit on the addresses of the process leaves (``ulimit -v``)."""
    try:
        import resource
    except ImportError:  # Windows
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return []
    with suppress(OSError, ValueError, IndexError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        return [limit - used]
    return []
