"""Open one media file for writing, and close it whatever happens."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from av.container import OutputContainer

READ_ONLY = 1  # of FFmpeg's AVIO_FLAG_READ and AVIO_FLAG_WRITE


@contextmanager
def open_output(
    path: Path, muxer: str, options: Mapping[str, str] | None = None
) -> Iterator[OutputContainer]:
    """Open a media file for writing over what is there; OSError if the system refuses it."""
    # A file that FFmpeg opens itself stays open where its header is refused, by a full disk
    # or by a muxer that cannot hold a stream.
    with path.open("wb") as file:

        def again(_: str, flags: int, __: Any) -> Any:
            # A muxer that moves its index to the front reads what it wrote.
            file.flush()
            return path.open("rb" if flags == READ_ONLY else "r+b")

        with av.open(
            _Numbered(file),
            "w",
            format=muxer,
            container_options=dict(options or {}),
            io_open=again,
            metadata_errors="surrogateescape",
        ) as container:
            yield container


class _Numbered:
    """A file that tells of its errors by number, as those that FFmpeg opens do."""

    # PyAV prints the traceback of an exception that follows another before it is asked.

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.name = str(file.name)

    def write(self, data: bytes) -> int:
        return _numbered(self._file.write, data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return _numbered(self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _numbered(call: Callable[..., int], *arguments: Any) -> int:
    try:
        return call(*arguments)
    except OSError as error:
        return -(error.errno or 5)
