"""Whether a disk has room: asked once it was found full."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

RESERVE_BYTES = 4 << 20  # a disk with less than this is full: logs and records need that much
_LOOK_AGAIN_S = 2.0


def free_bytes(folder: Path) -> int | None:
    """What may still be written to a folder's file system, quotas aside; None if it cannot be asked."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


class Room:
    """Whether there is room for a job under a folder. Until the disk was found full, there is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.suspected = False
        self._looked_at = -_LOOK_AGAIN_S
        self._free = 0

    def suspect(self) -> None:
        """Something could not be written: look from now on."""
        self.suspected = True
        self._looked_at = -_LOOK_AGAIN_S

    def allows(self, num_bytes: float) -> bool:
        """Whether a job that leaves so many bytes may be started."""
        if not self.suspected:
            return True
        if time.monotonic() - self._looked_at >= _LOOK_AGAIN_S:
            self._free = (free_bytes(self._folder) or 0) if self._can_write() else 0
            self._looked_at = time.monotonic()
        return self._free >= num_bytes + RESERVE_BYTES

    def _can_write(self) -> bool:
        """Write that much in fact, since a quota shows in no number."""
        probe = self._folder / "tmp" / f".room-{uuid.uuid4().hex}"
        try:
            probe.parent.mkdir(parents=True, exist_ok=True)
            with probe.open("wb") as file:
                file.write(b"\0" * RESERVE_BYTES)
                os.fsync(file.fileno())
        except OSError:
            return False
        finally:
            probe.unlink(missing_ok=True)
        return True
