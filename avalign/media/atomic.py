"""Write a file whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from avalign.media.opening import StrPath

__all__ = ["atomic_output"]


@contextmanager
def atomic_output(path: StrPath, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well.

    The temporary file lies in the same folder and ends like `path`, so that
    formats told by their ending work. When the block raises, it is removed and
    an existing file at `path` stays as it was.

    Parameters
    ----------
    path : str or PathLike
        The file to write.
    overwrite : bool
        Replace an existing file.

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
    target = Path(path)
    _refuse_existing(target, overwrite)
    # Without the stem, which may be as long as the system allows.
    temporary = target.with_name(f".avalign-{secrets.token_hex(4)}{target.suffix}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mode = temporary.stat().st_mode
        yield temporary
        # Some libraries write a file of their own in its place, for its owner alone.
        if temporary.stat().st_mode != mode:
            temporary.chmod(mode)
        _move(temporary, target, overwrite)
    except OSError as error:
        raise _explained(error, target) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise MediaError(f"{target}: is a folder", "name a file to write")
    if target.exists() and not overwrite:
        raise MediaError(f"{target}: exists already", "use -y to overwrite it")
    if not target.parent.is_dir():
        raise MediaError(
            f"{target}: its folder {target.parent} does not exist", "make the folder first"
        )


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
