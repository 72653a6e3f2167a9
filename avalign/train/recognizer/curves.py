"""The curves of a run: a CSV file, and events for TensorBoard where it is wanted."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from avalign.errors import import_guard
from avalign.files import atomic_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

CURVES_NAME = "curves.csv"


def write_curves(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write one line per epoch; numbers that an epoch lacks are empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (
        atomic_output(path, overwrite=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)


class EventWriter:
    """Writes rows for TensorBoard, if `wanted`, into ``events``; a context manager."""

    def __init__(self, folder: Path, wanted: bool) -> None:
        self._writer: Any = None
        if not wanted:
            return
        with import_guard(
            "TensorBoard does not load",
            "pip install tensorboard, or leave it out: the curves are in a CSV file",
        ):
            from torch.utils.tensorboard import SummaryWriter
        self._writer = SummaryWriter(str(folder / "events"))

    def write(self, row: Mapping[str, float]) -> None:
        """Write the numbers of an epoch, ``"epoch"`` among them."""
        if self._writer is not None:
            for name, value in row.items():
                self._writer.add_scalar(name, value, int(row["epoch"]))

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
