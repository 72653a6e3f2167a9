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
import numpy as np

from avalign.media import open_wav_writer, read_audio

ROOT = Path(__file__).parents[1]
SAMPLE = "samples/talking-late160.mp4"
TALKING = "samples/talking.mp4"
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


def save_take(video: Path, take: Path) -> None:
    """Save the sound of a video as a speaker would say it whose pace wanders."""
    sound = read_audio(video)
    rate = sound.sample_rate_hz
    scene_s = np.arange(-1.0, sound.duration_s + 1.0, 0.01)
    take_s = scene_s + 0.12 + 0.09 * np.sin(2 * np.pi * scene_s / 5.0)
    wanted_s = np.arange(0.0, sound.duration_s, 1 / rate)
    places = (np.interp(wanted_s, take_s, scene_s) - sound.start_s) * rate
    samples = np.interp(places, np.arange(len(sound.samples)), sound.samples, 0.0, 0.0)
    with open_wav_writer(take, sample_rate_hz=rate, layout="mono") as write:
        write(samples[None].astype(np.float32))


def main() -> int:
    """Make all pictures; return 0."""
    with tempfile.TemporaryDirectory() as scratch:
        overlay = Path(scratch, "overlay.mp4")
        show(
            *("avalign", "sync", SAMPLE, "--dry-run", "--overwrite"),
            *("--plot", f"{IMAGES}/sync.png", "--overlay", str(overlay)),
        )
        save_picture(overlay, OVERLAY_TIME_S, ROOT / IMAGES / "overlay.jpg")
        take = Path(scratch, "take.wav")
        save_take(ROOT / TALKING, take)
        show(
            *("avalign", "align", TALKING, str(take), "--dry-run", "--overwrite"),
            *("--plot", f"{IMAGES}/align.png"),
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
