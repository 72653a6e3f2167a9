"""Scratch folders, which outlive nobody.

Every result is built in a folder ``.avalign-HOST-XXXXXXXX`` that lies where the result is to
lie. Whoever builds holds a lock in it. A run that is killed lets go of its lock, so the next
run that writes there knows what nobody builds any more, and removes it.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from avalign.files.local import is_there

try:
    import fcntl
except ImportError:  # on Windows; what is left there is removed when it is old
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST = hashlib.sha256(platform.node().encode("utf-8", "replace")).hexdigest()[:8]
_SCRATCH = re.compile(r"\.avalign-(?P<host>[0-9a-f]{8})-[0-9a-f]{8}")
# What releases before the locks wrote beside a result.
_UNLOCKED = re.compile(r"\.avalign-[0-9a-z_]{8}(\.[^.]*)?")


_LOCK, OLD, NEW = "lock", "old", "new"


# Where no lock can tell, as on another host: nobody builds a result for longer.
_OLD_AFTER_S = 2 * 86400.0
_SWEEP_EVERY_S = 60.0
# By folder, and by name: where locks belong to the process, it would take its own for free.
_swept_at_s: dict[str, float] = {}
_building: set[str] = set()


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder in another one, for as long as the block lasts.

    What runs that were killed have left there is removed first.

    Parameters
    ----------
    parent : Path
        Where to make it, so that what is built in it can be renamed to its place.

    Yields
    ------
    Path
        The folder. ``lock`` in it is taken.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    _sweep(parent)
    scratch, lock = _locked_folder(parent)
    _building.add(scratch.name)
    try:
        yield scratch
    finally:
        os.close(lock.file)
        with suppress(OSError):
            _clear(scratch)
        _building.discard(scratch.name)


class _Lock(NamedTuple):
    """An open lock file, and whether locks tell anything on its file system."""

    file: int
    is_reliable: bool


def _locked_folder(parent: Path) -> tuple[Path, _Lock]:
    while True:
        scratch = parent / f".avalign-{_HOST}-{secrets.token_hex(4)}"
        scratch.mkdir(0o700)
        lock = None
        try:
            # Before it is locked, another run may take it for left over: then once more.
            if lock := _take_lock(scratch):
                return scratch, lock
        finally:
            if lock is None:
                with suppress(OSError):
                    _remove(scratch)


def _take_lock(scratch: Path) -> _Lock | None:
    """Lock a scratch folder; None if somebody else has it, or has removed it."""
    path, is_reliable = scratch / _LOCK, fcntl is not None
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    except (AttributeError, OSError):
        is_reliable = False
    try:
        if os.stat(path).st_ino == os.fstat(file).st_ino:
            return _Lock(file, is_reliable)
    except FileNotFoundError:
        pass
    os.close(file)
    return None


def _sweep(parent: Path) -> None:
    """Remove what runs that were killed have left in a folder; at times, not for every file."""
    parent_path, now_s = os.path.abspath(parent), time.monotonic()
    if parent.name in _building:
        return  # a scratch folder itself
    if now_s - _swept_at_s.get(parent_path, -math.inf) < _SWEEP_EVERY_S:
        return
    _swept_at_s[parent_path] = now_s
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if not entry.name.startswith(".avalign-") or entry.name in _building:
                continue
            with suppress(OSError):
                known = _SCRATCH.fullmatch(entry.name)
                if known and entry.is_dir(follow_symlinks=False):
                    _sweep_one(Path(entry.path), known["host"] == _HOST)
                elif _UNLOCKED.fullmatch(entry.name) and _is_old(Path(entry.path)):
                    _remove(Path(entry.path))


def _sweep_one(scratch: Path, ours: bool) -> None:
    """Remove a scratch folder of this host, or of another, that nobody builds in."""
    lock = _take_lock(scratch)
    if lock is None:
        return
    try:
        if not (ours and lock.is_reliable) and not _is_old(scratch):
            return
        _clear(scratch)
    finally:
        os.close(lock.file)


def _clear(scratch: Path) -> None:
    """Remove a scratch folder; an old result that nothing took the place of comes back."""
    # Where it cannot come back, the folder stays, for it is the only one.
    for kept in (scratch / OLD).iterdir() if (scratch / OLD).is_dir() else ():
        if not is_there(scratch.parent / kept.name):
            os.rename(kept, scratch.parent / kept.name)
    _remove(scratch)


def _is_old(path: Path) -> bool:
    times = [path.lstat().st_mtime]
    if path.is_dir() and not path.is_symlink():
        times += [each.lstat().st_mtime for each in path.rglob("*")]
    return time.time() - max(times) > _OLD_AFTER_S


def _remove(path: Path) -> None:
    """Remove a file or a scratch folder, the lock last: nobody else may think it free."""
    if not path.is_dir() or path.is_symlink():
        path.unlink()
        return
    for each in path.iterdir():
        if each.name == _LOCK:
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink(missing_ok=True)
    (path / _LOCK).unlink(missing_ok=True)
    path.rmdir()
