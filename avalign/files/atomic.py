"""Results that appear whole or not at all: built in a scratch folder, renamed into place."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import AvalignError, MediaError
from avalign.files.local import StrPath, is_there
from avalign.files.scratch import NEW, OLD, scratch_folder
from avalign.files.targets import refuse_existing, refuse_existing_folder

try:
    import fcntl
except ImportError:  # on Windows; what is left there is removed when it is old
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
        refuse_existing(target, overwrite)
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
        _move_all(built, targets, overwrite, scratch / OLD)


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
        refuse_existing_folder(Path(path), overwrite, replaceable, kind)

    with _explaining(Path(path)):
        if parents:
            target.parent.mkdir(parents=True, exist_ok=True)
        refuse()
    with _explaining(Path(path)), scratch_folder(target.parent) as scratch:
        built = scratch / NEW
        built.mkdir()
        yield built
        refuse()  # something may have come up meanwhile
        kept = scratch / OLD / target.name
        if is_there(target):
            kept.parent.mkdir()
            os.rename(target, kept)
        try:
            os.rename(built, target)
        except OSError:
            if is_there(kept):
                os.rename(kept, target)
            raise


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
                refuse_existing(target, overwrite)
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
            refuse_existing(target, overwrite)
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
