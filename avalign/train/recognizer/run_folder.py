"""The folder of a run: an older run in it stays until the new one is complete."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import MediaError, ParameterError
from avalign.files import atomic_outputs, is_there, refuse_inputs
from avalign.recognition import CALIBRATION_NAME, SETTINGS_NAME, WEIGHTS_NAME
from avalign.train.recognizer.curves import CURVES_NAME
from avalign.train.recognizer.distributed import is_first_process
from avalign.train.recognizer.loop import CHECKPOINT_NAME, RUN_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RUN_FILES = (
    CHECKPOINT_NAME,
    WEIGHTS_NAME,
    SETTINGS_NAME,
    CURVES_NAME,
    RUN_NAME,
    CALIBRATION_NAME,
)
UNFINISHED = "unfinished-run"


@contextmanager
def run_folder(
    folder: str | os.PathLike[str],
    *,
    inputs: Iterable[str | os.PathLike[str]],
    overwrite: bool,
    resume: bool,
    names: Sequence[str] = RUN_FILES,
) -> Iterator[Path]:
    """Give the folder that a run writes to, or refuse it before anything is computed.

    That is `folder` itself, where nothing is to be replaced. Else it is ``unfinished-run``
    in it, until the block ends well: then its files replace the older run's. Interrupted, the
    older run is as it was, and the new one can be resumed.
    """
    if overwrite and resume:
        raise ParameterError("a run cannot go on and start anew", "choose one of the two")
    folder = Path(folder)
    unfinished = folder / UNFINISHED
    refuse_inputs(inputs, [parent / name for parent in (folder, unfinished) for name in names])
    older = [folder / name for name in names if is_there(folder / name)]
    begun = [unfinished / name for name in names if is_there(unfinished / name)]
    if (older or begun) and not (overwrite or resume):
        raise MediaError(
            f"{(older or begun)[0]}: exists already",
            "go on with --resume, or start anew with -y",
        )
    aside = bool(older) if overwrite else bool(begun)
    work = unfinished if aside else folder
    try:
        work.mkdir(parents=True, exist_ok=True)
        for path in begun if overwrite else ():
            path.unlink(missing_ok=True)  # other processes of the run may have
    except OSError as error:
        raise MediaError(
            f"{folder}: cannot be used: {error.strerror}", "name another folder"
        ) from error
    try:
        yield work
        if aside and is_first_process():
            _replace_run(unfinished, folder, names)
    finally:
        _remove_empty(work)


def _replace_run(new: Path, folder: Path, names: Sequence[str]) -> None:
    """Copy the files of a run over an older run's, and remove them when all are there.

    Killed meanwhile, the run can still be resumed to the same end.
    """
    files = [path.relative_to(new) for path in sorted(new.rglob("*")) if path.is_file()]
    for parent in sorted({file.parent for file in files}):
        members = [file for file in files if file.parent == parent]
        (folder / parent).mkdir(parents=True, exist_ok=True)
        targets = [folder / file for file in members]
        with atomic_outputs(*targets, overwrite=True) as temporaries:
            for file, temporary in zip(members, temporaries, strict=True):
                _link_or_copy(new / file, temporary)
    for old in {Path(name) for name in names} - set(files):
        (folder / old).unlink(missing_ok=True)
    shutil.rmtree(new)


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink()
    try:
        os.link(source, target)
    except OSError:  # no hard links on this file system
        shutil.copyfile(source, target)


def _remove_empty(folder: Path) -> None:
    """Leave no empty folders of a run that came to nothing."""
    for root, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(root)
