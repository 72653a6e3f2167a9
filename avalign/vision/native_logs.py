"""Keeps the chatter of MediaPipe's C++ code out of the user's terminal."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

_lock = threading.RLock()
_NOISE = re.compile(
    rb"^([WI]\d{4} \d\d:\d\d:\d\d"  # glog and absl: "W0000 00:00:1700000000.1 ..."
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|INFO: (Created TensorFlow Lite|Initialized TensorFlow))"
)


@contextmanager
def quiet_native_logs() -> Iterator[None]:
    """Keep information and warnings of MediaPipe's C++ out of the terminal."""
    # They go to file descriptor 2 and no setting stops them. So it leads to a temporary file
    # meanwhile, and what else was written is passed on afterwards.
    with _lock:
        try:
            terminal = os.dup(2)
        except OSError:  # a daemon without standard error: nothing to keep quiet
            yield
            return
        try:
            kept = _nameless_file()
        except OSError:  # without a place to keep them, they are seen
            os.close(terminal)
            yield
            return
        with kept:
            _flush()
            os.dup2(kept.fileno(), 2)
            try:
                yield
            finally:
                _flush()
                os.dup2(terminal, 2)
                os.close(terminal)
                kept.seek(0)
                with suppress(OSError):
                    for line in kept:
                        if not _NOISE.match(line):
                            os.write(2, line)


def _nameless_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("avalign-logs"), "w+b")
    return tempfile.TemporaryFile()


def _flush() -> None:
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # full, or closed
            sys.stderr.flush()
