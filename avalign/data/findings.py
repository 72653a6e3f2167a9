"""What an audit of a manifest found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Check = Literal["file", "streams", "duration", "duplicate", "split", "label", "transcript"]
EXIT_CODES: dict[Check, int] = {"file": 3, "streams": 4}
OTHER_ERROR = 1
# What is worst comes first, as in `avalign check`.
PRECEDENCE = (3, 1, 4)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth a look."""

    check: Check
    is_error: bool  # False for what may be meant so
    place: str  # file, speaker or label
    message: str

    @property
    def exit_code(self) -> int:
        """What the command line returns for this finding alone."""
        return EXIT_CODES.get(self.check, OTHER_ERROR) if self.is_error else 0

    def as_dict(self) -> dict[str, Any]:
        """Turn the finding into plain values."""
        level = "error" if self.is_error else "warning"
        return {
            "check": self.check,
            "level": level,
            "place": self.place,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Part:
    """One side of a split, counted."""

    name: str  # "" for rows in no part
    n_rows: int
    n_speakers: int  # rows without one count none
    duration_s: float  # as far as known
    labels: dict[str, int]  # rows of each, the most frequent first

    def as_dict(self) -> dict[str, Any]:
        """Turn the part into plain values."""
        return {
            "split": self.name,
            "rows": self.n_rows,
            "speakers": self.n_speakers,
            "duration_s": round(self.duration_s, 3),
            "labels": self.labels,
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """The answer about a manifest.

    Parameters
    ----------
    manifest : Path
        The table.
    parts : tuple of Part
        What it holds.
    findings : tuple of Finding
        What is wrong or worth a look, in the order of the checks.
    """

    manifest: Path
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]

    @property
    def n_errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.is_error for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0 without errors; 3 if a file cannot be read, else 1, or 4 for missing streams."""
        return worst(finding.exit_code for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Turn the audit into plain values that JSON can hold.

        Returns
        -------
        dict
            ``manifest``, ``ok``, ``errors``, ``warnings``, ``parts``, ``findings``.
        """
        return {
            "manifest": str(self.manifest),
            "ok": self.n_errors == 0,
            "errors": self.n_errors,
            "warnings": len(self.findings) - self.n_errors,
            "parts": [part.as_dict() for part in self.parts],
            "findings": [finding.as_dict() for finding in self.findings],
        }


def worst(exit_codes: Iterable[int]) -> int:
    """Choose the exit code that stands for all: the first of 3, 1 and 4 that occurs, else 0."""
    found = set(exit_codes)
    return next((code for code in PRECEDENCE if code in found), 0)
