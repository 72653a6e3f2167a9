"""Check that a wheel holds all files of both packages, and nothing else.

    python .ci/wheel.py dist/avalign-*.whl

Stubs, weights and tables are what packaging forgets; a room without its stub exports nothing.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(wheel: str) -> int:
    """Print what is missing or does not belong; return 1 if anything is."""
    listed = subprocess.run(
        ["git", "ls-files", "avalign", "cli/avalign_cli"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    wanted = {name.removeprefix("cli/") for name in listed if (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wrong = [f"missing: {name}" for name in sorted(wanted - held)]
    wrong += [f"does not belong: {name}" for name in sorted(held - wanted)]
    print(*wrong, f"{len(held)} files in the wheel, {len(wrong)} complaints", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
