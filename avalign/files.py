"""Files: one local file to read, and results that appear whole or not at all.

Every result is built in a scratch folder, ``.avalign-HOST-XXXXXXXX``, that lies where the
result is to lie, and renamed into its place when it is complete. Whoever builds holds a lock
in that folder. A run that is killed lets go of its lock, so the next run that writes there
knows what nobody builds any more, and removes it.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from avalign.errors import AvalignError, MediaError, ParameterError

try:
    import fcntl
except ImportError:  # on Windows; what is left there is removed when it is old
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "StrPath",
    "atomic_folder",
    "atomic_output",
    "atomic_outputs",
    "check_target",
    "is_there",
    "local_file",
    "refuse_inputs",
    "scratch_folder",
]

StrPath = str | os.PathLike[str]

# A colon alone is no URL: talk:1.mp4. What FFmpeg takes for one without slashes is listed.
_LOOKS_LIKE_URL = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://|(data|concatf?|file|pipe|fd|cache|crypto|subfile|async|hls):"
)
_HOST = hashlib.sha256(platform.node().encode("utf-8", "replace")).hexdigest()[:8]
_SCRATCH = re.compile(r"\.avalign-(?P<host>[0-9a-f]{8})-[0-9a-f]{8}")
# What releases before the locks wrote beside a result.
_UNLOCKED = re.compile(r"\.avalign-[0-9a-z_]{8}(\.[^.]*)?")
_LOCK, _OLD, _NEW = "lock", "old", "new"
# Where no lock can tell, as on another host: nobody builds a result for longer.
_OLD_AFTER_S = 2 * 86400.0

_SWEEP_EVERY_S = 60.0

# By folder, and by name: where locks belong to the process, it would take its own for free.
_swept_at_s: dict[str, float] = {}
_building: set[str] = set()


def local_file(path: StrPath) -> Path:
    """Return `path` once it is known to be a regular file that is not empty.

    Parameters
    ----------
    path : str or PathLike
        A file on this machine, taken literally.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    MediaError
        If it is missing, a folder, a pipe, a device, empty, or a URL.
    """
    name = os.fspath(path)
    if name == "-":
        raise MediaError("-: standard input is not read", "name a file")
    try:
        status = os.stat(name)
    except (OSError, ValueError) as error:
        if _LOOKS_LIKE_URL.match(name) and not os.path.splitdrive(name)[0]:
            raise MediaError(
                f"{name}: only local files are read", "download it and give the file's path"
            ) from error
        if isinstance(error, PermissionError):
            raise MediaError(f"{name}: may not be read", "check the permissions") from error
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise MediaError(f"{name}: no file has so long a name", "check the path") from error
        raise MediaError(f"{name!s}: no such file", "check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{name}: is a folder", "name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{name}: is not a regular file", "name a file, not a pipe or device")
    if status.st_size == 0:
        raise MediaError(f"{name}: is empty", "check how the file was made or copied")
    return Path(name)


def is_there(path: StrPath) -> bool:
    """Tell whether something has this name already, if only a link that leads nowhere.

    Parameters
    ----------
    path : str or PathLike
        A path.

    Returns
    -------
    bool
        Whether writing there would replace something.
    """
    return os.path.lexists(path)


def refuse_inputs(sources: Iterable[StrPath], targets: Iterable[StrPath]) -> None:
    """Refuse to write over what is read.

    Parameters
    ----------
    sources : iterable of path-like
        The files that are read; those that are missing are passed over.
    targets : iterable of path-like
        The files that are to be written.

    Raises
    ------
    ParameterError
        If a target is one of the sources, by whatever name or link.
    """
    sources = list(sources)
    for target in targets:
        for source in sources:
            same = False
            with suppress(OSError, ValueError):
                same = os.path.samefile(target, source)
            if same:
                raise ParameterError(
                    f"{target}: is the input, which avalign never changes",
                    "name another file to write",
                )


def _refuse_long(target: Path) -> None:
    try:
        os.lstat(target)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise MediaError(
                f"{target}: the name of the file to write is too long",
                "name a shorter one with -o",
            ) from error


def check_target(
    sources: Iterable[StrPath],
    target: StrPath,
    *,
    beside: Iterable[str] = (),
    overwrite: bool = False,
    suffix: str | None = None,
) -> None:
    """Refuse a file that could not be written, before minutes of work.

    Parameters
    ----------
    sources : iterable of path-like
        The inputs.
    target : str or PathLike
        The file to write. A link counts as a file that exists, wherever it leads;
        to overwrite it replaces the link, and what it leads to stays.
    beside : iterable of str
        Names of the files that are written beside it.
    overwrite : bool
        Whether files that exist may be replaced.
    suffix : str, optional
        The ending it must have, such as ``".png"``; by default any.

    Raises
    ------
    MediaError
        If there is no such input, or the target or a file beside it exists already
        or is a folder, or its folder is missing or takes no files.
    ParameterError
        If the target or a file beside it is an input, or it has another ending.
    """
    target = Path(target)
    targets = [target, *(target.with_name(name) for name in beside)]
    for each in targets:
        _refuse_long(each)
    refuse_inputs([local_file(source) for source in sources], targets)
    if suffix is not None and target.suffix.lower() != suffix:
        raise ParameterError(
            f"{target}: what is written there needs the ending {suffix}",
            f"name it {target.with_suffix(suffix) if target.name else 'FILE' + suffix}",
        )
    for each in targets:
        _refuse_existing(each, overwrite)
    try:
        # A file without a name: asking the system leaves nothing behind.
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        words = error.strerror or str(error)
        raise MediaError(
            f"{target}: its folder {target.parent} is not writable ({words})", "write elsewhere"
        ) from error


@contextmanager
def atomic_output(path: StrPath, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well.

    The temporary file ends like `path`, so that formats told by their ending work.
    When the block raises, it is removed and an existing file at `path` stays as it was.

    Parameters
    ----------
    path : str or PathLike
        The file to write.
    overwrite : bool
        Replace an existing file. Of a link, the link is replaced; what it leads to stays.

    Yields
    ------
    Path
        Where to write; an empty file is there already.

    Raises
    ------
    MediaError
        If the file exists and may not be replaced, its folder is missing or
        not writable, or the system refuses a write, such as on a full disk.
    """
    with atomic_outputs(path, overwrite=overwrite) as (temporary,):
        yield temporary


@contextmanager
def atomic_outputs(*paths: StrPath, overwrite: bool = False) -> Iterator[tuple[Path, ...]]:
    """Give temporary paths of files in one folder that belong together.

    They appear when the block ends well, all of them or none.

    Parameters
    ----------
    *paths : str or PathLike
        The files to write, in one folder.
    overwrite : bool
        Replace existing files.

    Yields
    ------
    tuple of Path
        Where to write; empty files are there already.

    Raises
    ------
    MediaError
        As `atomic_output`.
    """
    targets = [Path(path) for path in paths]
    for target in targets:
        _refuse_existing(target, overwrite)
    with _explaining(targets[0]), scratch_folder(targets[0].parent) as scratch:
        # Without the stem, which may be as long as the system allows.
        built = [scratch / f"{number}{path.suffix}" for number, path in enumerate(targets)]
        for each in built:
            os.close(os.open(each, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mode = built[0].stat().st_mode
        yield tuple(built)
        for each in built:
            # Some libraries write a file of their own in its place, for its owner alone.
            if each.stat().st_mode != mode:
                each.chmod(mode)
        _move_all(built, targets, overwrite, scratch / _OLD)


@contextmanager
def atomic_folder(
    path: StrPath,
    overwrite: bool = False,
    *,
    parents: bool = False,
    replaceable: Callable[[Path], bool] | None = None,
    kind: str = "a result of avalign",
) -> Iterator[Path]:
    """Give a temporary folder that becomes `path` when the block ends well.

    When the block raises, it is removed and an existing folder at `path` stays as it
    was; it is removed only once the new one is in its place.

    Parameters
    ----------
    path : str or PathLike
        The folder to write. An empty one may be there already.
    overwrite : bool
        Replace an existing folder; never a link, nor a file.
    parents : bool
        Make the folders above it, too.
    replaceable : callable, optional
        Tells whether a folder holds what may be replaced, and nothing besides.
        By default any may.
    kind : str
        What such a folder holds, in words.

    Yields
    ------
    Path
        An empty folder to write to.

    Raises
    ------
    MediaError
        If there is something that may not be replaced, the folder above is missing or
        not writable, or the system refuses a write.
    """
    target = Path(os.path.abspath(path))

    def refuse() -> None:
        _refuse_existing_folder(Path(path), overwrite, replaceable, kind)

    with _explaining(Path(path)):
        if parents:
            target.parent.mkdir(parents=True, exist_ok=True)
        refuse()
    with _explaining(Path(path)), scratch_folder(target.parent) as scratch:
        built = scratch / _NEW
        built.mkdir()
        yield built
        refuse()  # something may have come up meanwhile
        kept = scratch / _OLD / target.name
        if is_there(target):
            kept.parent.mkdir()
            os.rename(target, kept)
        try:
            os.rename(built, target)
        except OSError:
            if is_there(kept):
                os.rename(kept, target)
            raise


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
    tells: bool


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
    path, tells = scratch / _LOCK, fcntl is not None
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
        tells = False
    try:
        if os.stat(path).st_ino == os.fstat(file).st_ino:
            return _Lock(file, tells)
    except FileNotFoundError:
        pass
    os.close(file)
    return None


def _sweep(parent: Path) -> None:
    """Remove what runs that were killed have left in a folder; at times, not for every file."""
    place, now_s = os.path.abspath(parent), time.monotonic()
    if parent.name in _building:
        return  # a scratch folder itself
    if now_s - _swept_at_s.get(place, -math.inf) < _SWEEP_EVERY_S:
        return
    _swept_at_s[place] = now_s
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
        if not (ours and lock.tells) and not _is_old(scratch):
            return
        _clear(scratch)
    finally:
        os.close(lock.file)


def _clear(scratch: Path) -> None:
    """Remove a scratch folder; an old result that nothing took the place of comes back.

    Where it cannot come back, the folder stays, for it is the only one.
    """
    for kept in (scratch / _OLD).iterdir() if (scratch / _OLD).is_dir() else ():
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


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise MediaError(f"{target}: is a folder", "name a file to write")
    if is_there(target) and not overwrite:
        raise MediaError(
            f"{target}: exists already",
            "overwrite it (-y; overwrite=True in Python), or name another file",
        )
    if not target.parent.is_dir():
        raise MediaError(
            f"{target}: its folder {target.parent} does not exist", "make the folder first"
        )


def _refuse_existing_folder(
    target: Path, overwrite: bool, replaceable: Callable[[Path], bool] | None, kind: str
) -> None:
    if not target.parent.is_dir():
        raise MediaError(f"{target.parent}: there is no such folder", "make it first")
    if not is_there(target):
        return
    whole = target.is_dir() and not target.is_symlink()
    if whole and not any(target.iterdir()):
        return
    if not overwrite:
        raise MediaError(
            f"{target}: exists already",
            "overwrite it (-y; overwrite=True in Python), or name another folder",
        )
    if not whole or (replaceable is not None and not replaceable(target)):
        raise MediaError(
            f"{target}: holds something else than {kind}, so it stays", "name another folder"
        )


def _move_all(built: list[Path], targets: list[Path], overwrite: bool, old: Path) -> None:
    """Give all files their names, or none; `old` keeps what they replace meanwhile."""
    if len(built) == 1:
        _move(built[0], targets[0], overwrite)
        return
    done: list[Path] = []
    old.mkdir()
    try:
        for each, target in zip(built, targets, strict=True):
            if is_there(target):
                _refuse_existing(target, overwrite)
                _keep(target, old / target.name)
            _move(each, target, overwrite)
            done.append(target)
    except (OSError, AvalignError):
        for target in targets:
            with suppress(OSError):
                if is_there(old / target.name):
                    os.replace(old / target.name, target)
                elif target in done:
                    target.unlink()
        raise


def _keep(target: Path, kept: Path) -> None:
    try:
        os.link(target, kept, follow_symlinks=False)
    except (OSError, NotImplementedError):  # no hard links on this file system
        os.rename(target, kept)


def _move(temporary: Path, target: Path, overwrite: bool) -> None:
    if not overwrite:
        # A link fails where a file has come up meanwhile; a rename would not.
        try:
            os.link(temporary, target)
        except FileExistsError:
            _refuse_existing(target, overwrite)
        except OSError:
            pass  # no hard links on this file system
        else:
            return
    os.replace(temporary, target)


@contextmanager
def _explaining(target: Path) -> Iterator[None]:
    """Word what the system says."""
    try:
        yield
    except OSError as error:
        raise _explained(error, target) from error


def _explained(error: OSError, target: Path) -> MediaError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return MediaError(
            f"{target}: not written, the disk is full", "free some space, or write elsewhere"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MediaError(
            f"{target}: its folder {target.parent} is not writable", "write elsewhere with -o"
        )
    hint = "check the disk and the path"
    if error.errno == errno.EINVAL:
        hint = "such a file may not hold what is to be in it: try the ending of the source"
    words = error.strerror or str(error)
    return MediaError(f"{target}: could not be written ({words})", hint)
