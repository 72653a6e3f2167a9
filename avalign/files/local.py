"""Paths as users name them: one local file to read, and what lies there already."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import MediaError

try:
    import fcntl
except ImportError:  # on Windows; what is left there is removed when it is old
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    pass


StrPath = str | os.PathLike[str]


# A colon alone is no URL: talk:1.mp4. What FFmpeg takes for one without slashes is listed.
_LOOKS_LIKE_URL = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://|(data|concatf?|file|pipe|fd|cache|crypto|subfile|async|hls):"
)


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
