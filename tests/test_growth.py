"""Memory and descriptors over many clips, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("mediapipe", exc_type=ImportError)
pytest.importorskip("psutil")

import av

from avalign.media import iter_frames

SAMPLE = Path(__file__).parents[1] / "samples" / "talking.mp4"
CLIPS = 30
SETTLED = 10

SCRIPT = """
import sys, psutil
from avalign.vision import lip_streams

process = psutil.Process()
for number in range(int(sys.argv[2])):
    assert len(lip_streams(sys.argv[1])) == 1
    memory = process.memory_info().rss
    descriptors = process.num_fds() if hasattr(process, "num_fds") else 0
    print(memory, descriptors)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows trims what it counts")
def test_many_clips_take_no_more_memory_than_some(tmp_path):
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as out:
        stream = out.add_stream("libx264", 25, width=416, height=416, pix_fmt="yuv420p")
        for number, frame in enumerate(iter_frames(SAMPLE, end_s=0.4)):
            picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(clip), str(CLIPS)],
        check=True,
        capture_output=True,
        text=True,
    )
    told = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    memory, descriptors = zip(*told[SETTLED:], strict=True)
    # A model that is not given back is 5 MB for each clip.
    assert (memory[-1] - memory[0]) / 1e6 < 2.0 * (CLIPS - SETTLED)
    assert len(told) == CLIPS
    assert max(descriptors) <= descriptors[0] + 2
