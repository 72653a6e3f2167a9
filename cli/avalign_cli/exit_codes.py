"""Exit codes beside those that errors bring along, and which of several counts."""

from collections.abc import Collection

__all__ = [
    "CANNOT_WRITE",
    "DEFECT",
    "INTERRUPTED",
    "MISSING_DEPENDENCY",
    "WRONG_USAGE",
    "worst",
]

WRONG_USAGE = 2
CANNOT_WRITE = 3
MISSING_DEPENDENCY = 5
DEFECT = 70
INTERRUPTED = 130

# What is worst comes first; a defect outranks all.
PRECEDENCE = (DEFECT, MISSING_DEPENDENCY, CANNOT_WRITE, WRONG_USAGE, 1, 4)


def worst(exit_codes: Collection[int]) -> int:
    """Choose the exit code of a command on many files; 0 where all of them went well."""
    return next((code for code in PRECEDENCE if code in exit_codes), 0)
