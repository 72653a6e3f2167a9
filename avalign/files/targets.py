"""Files that are to be written: refused now rather than after minutes of work."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import MediaError, ParameterError
from avalign.files.local import StrPath, is_there, local_file

try:
    import fcntl
except ImportError:  # on Windows; what is left there is removed when it is old
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


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
        refuse_existing(each, overwrite)
    try:
        # A file without a name: asking the system leaves nothing behind.
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        words = error.strerror or str(error)
        raise MediaError(
            f"{target}: its folder {target.parent} is not writable ({words})", "write elsewhere"
        ) from error


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Refuse to write where there is a folder, or a file that may not be replaced."""
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


def refuse_existing_folder(
    target: Path, overwrite: bool, replaceable: Callable[[Path], bool] | None, kind: str
) -> None:
    """Refuse to build a folder where something lies that may not be replaced by it."""
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
