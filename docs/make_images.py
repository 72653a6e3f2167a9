"""Make the pictures of the documentation anew, by the commands that a user runs.

    python docs/make_images.py

It needs avalign with its extra `report`, and writes into docs/images/. Run it whenever
the shipped weights or the plots change.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import av

ROOT = Path(__file__).parents[1]
SAMPLE = "samples/talking-late160.mp4"
TALKING = "samples/talking.mp4"
TAKE = "samples/take.wav"
IMAGES = "docs/images"
# The overlay is shown with the mouth wide open.
OVERLAY_TIME_S = 4.3


def show(*command: str) -> None:
    """Run a command in the folder of the project, and say which."""
    print("$", *command)
    subprocess.run(command, cwd=ROOT, check=True)


def save_picture(video: Path, time_s: float, picture: Path) -> None:
    """Save the picture that a video shows at a time."""
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= time_s:
                frame.to_image().save(picture, quality=85)
                return


def main() -> int:
    """Make all pictures; return 0."""
    with tempfile.TemporaryDirectory() as scratch:
        overlay = Path(scratch, "overlay.mp4")
        show(
            *("avalign", "sync", SAMPLE, "--dry-run", "--overwrite"),
            *("--plot", f"{IMAGES}/sync.png", "--overlay", str(overlay)),
        )
        save_picture(overlay, OVERLAY_TIME_S, ROOT / IMAGES / "overlay.jpg")
        show(
            *("avalign", "align", TALKING, TAKE, "--dry-run", "--overwrite"),
            *("--plot", f"{IMAGES}/align.png"),
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
