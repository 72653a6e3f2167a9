"""Make the sample clips of this folder: ``python samples/make_samples.py [--out DIR]``.

- ``talking.mp4``: a face speaks, sound and picture in sync
- ``talking-late160.mp4``: the same pictures, the sound 160 ms late
- ``silent.mp4``: the face keeps its mouth shut, the sound is digital silence
- ``no-face.mp4``: the speech over a picture without a face
- ``take.wav``: the same words by another voice, faster, after a pause
- ``take.csv``: when each phoneme begins in ``talking.mp4`` and in ``take.wav``

Needs, besides avalign, scikit-image (the portrait; ``pip install scikit-image``) and the
espeak-ng library (the speech; on Debian and Ubuntu ``apt-get install espeak-ng``); exits
with 5 where one is missing. The same versions of all of these give the same files.

Each picture shows the mouth as it is at the picture's presentation time, computed from
the times of the phonemes in the sound: the lag of ``talking.mp4`` is zero by construction.
"""

from __future__ import annotations

import argparse
import csv
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import soxr
from face import SUPERSAMPLING, FaceShape, Picture, TalkingFace, head_motion
from numpy.typing import NDArray
from visemes import REST_WIDTH, Phoneme, Speech, articulate

from avalign.data.synthetic import Voice, run_espeak
from avalign.errors import MissingDependencyError

TEXT = (
    "Maybe my baby bought a map. Papa found five big apples, and Mama saw a farm above the bay."
)
SPEECH_START_S = 0.6
DURATION_S = 8.0
FRAME_RATE = 30
SAMPLE_RATE_HZ = 48_000
PICTURE_SIZE = 416
LATE_S = 0.160
ROOM_TONE_DB = -62.0
TALKING_VOICE, TAKE_VOICE = Voice("en-us"), Voice("en-us+f3", 170)
TAKE_START_S, TAKE_END_S = 1.3, 0.8
# The face in scikit-image's portrait: left, top and side of a square in pixels.
CROP = (121, 2, 208)
BACKDROP_CROP = (110, 20, 400)

Sound = NDArray[np.float32]


def main() -> int:
    """Make all clips."""
    parser = argparse.ArgumentParser(description="Make avalign's sample clips.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    try:
        speech, take = synthesise(TEXT, TALKING_VOICE), synthesise(TEXT, TAKE_VOICE)
        face = TalkingFace(*_portrait())
    except MissingDependencyError as error:
        print(f"{error.message}: `apt-get install espeak-ng`", file=sys.stderr)
        return 5
    except ImportError as error:
        print(f"{error}: `pip install scikit-image`", file=sys.stderr)
        return 5
    talk = list(_talking(face, speech))
    write_clip(folder / "talking.mp4", talk, _sound(speech))
    write_clip(folder / "talking-late160.mp4", talk, _sound(speech, late_s=LATE_S))
    quiet = np.zeros(round(DURATION_S * SAMPLE_RATE_HZ), np.float32)
    write_clip(folder / "silent.mp4", _resting(face), quiet)
    write_clip(folder / "no-face.mp4", _backdrop(), _sound(speech))
    write_take(folder / "take.wav", take)
    write_phonemes(folder / "take.csv", speech, take)
    return 0


def frame_times_s() -> NDArray[np.float64]:
    """Presentation times of the pictures of every clip."""
    return np.arange(round(DURATION_S * FRAME_RATE)) / FRAME_RATE


def _talking(face: TalkingFace, speech: Speech) -> Iterator[Picture]:
    times_s = frame_times_s()
    mouth = articulate(speech, times_s - SPEECH_START_S)
    for i, time_s in enumerate(times_s):
        yield face.draw(mouth.opening[i], mouth.width[i], mouth.jaw[i], head_motion(time_s))


def _resting(face: TalkingFace) -> Iterator[Picture]:
    for time_s in frame_times_s():
        yield face.draw(0.0, REST_WIDTH, 0.0, head_motion(time_s))


def _backdrop() -> Iterator[Picture]:
    """Travel slowly over a picture of a rocket on its launch pad."""
    from skimage.data import rocket

    left, top, side = BACKDROP_CROP
    for time_s in frame_times_s():
        corner = left + 10 * time_s
        matrix = np.array([[1, 0, -corner], [0, 1, -top]]) * (PICTURE_SIZE / side)
        yield np.asarray(cv2.warpAffine(rocket(), matrix, (PICTURE_SIZE, PICTURE_SIZE)))


def _portrait() -> tuple[Picture, FaceShape]:
    """Cut the face out of the portrait, enlarge it, and find its landmarks."""
    from mediapipe.python.solutions.face_mesh import FaceMesh
    from skimage.data import astronaut

    left, top, side = CROP
    size = SUPERSAMPLING * PICTURE_SIZE
    cut = astronaut()[top : top + side, left : left + side]
    portrait = np.asarray(cv2.resize(cut, (size, size), interpolation=cv2.INTER_CUBIC))
    with FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        (found,) = mesh.process(portrait).multi_face_landmarks
    landmarks = size * np.array([(point.x, point.y) for point in found.landmark])
    return portrait, FaceShape.of_mesh(landmarks)


def _sound(speech: Speech, late_s: float = 0.0) -> Sound:
    """Place the speech in the clip, over the soft noise of a room."""
    spoken = soxr.resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
    random = np.random.default_rng(7)
    sound = random.normal(0, 10 ** (ROOM_TONE_DB / 20), round(DURATION_S * SAMPLE_RATE_HZ))
    start = round((SPEECH_START_S + late_s) * SAMPLE_RATE_HZ)
    sound[start : start + len(spoken)] += spoken
    return sound.astype(np.float32)


def synthesise(text: str, voice: Voice) -> Speech:
    """Speak a text; the same version of espeak-ng always gives the same samples."""
    phones, samples, rate_hz = run_espeak(text, voice, ipa=False)
    starts = [(start, name) for name, start, _ in phones] + [(len(samples), "")]
    phonemes = [
        Phoneme(name, start / rate_hz, end / rate_hz)
        for (start, name), (end, _) in pairwise(starts)
    ]
    return Speech(samples, rate_hz, phonemes)


def write_take(path: Path, speech: Speech) -> None:
    """Write the speech between two pauses, over the soft noise of a room, 16 bits deep."""
    rate = speech.sample_rate_hz
    before, after = (np.zeros(round(pause * rate)) for pause in (TAKE_START_S, TAKE_END_S))
    sound = np.concatenate([before, speech.samples, after])
    sound += np.random.default_rng(8).normal(0, 10 ** (ROOM_TONE_DB / 20), len(sound))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(sound.clip(-1, 1) * (2**15 - 1)).astype("<i2").tobytes())


def write_phonemes(path: Path, speech: Speech, take: Speech) -> None:
    """Write when each phoneme begins in the clip and in the take; pauses are left out."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("phoneme", "talking_s", "take_s"))
        for here, there in zip(speech.phonemes, take.phonemes, strict=True):
            if here.name != there.name:
                raise ValueError(f"the take says {there.name}, not {here.name}")
            if not here.name.startswith("_"):
                times_s = (SPEECH_START_S + here.start_s, TAKE_START_S + there.start_s)
                writer.writerow((here.name, *(f"{time_s:.4f}" for time_s in times_s)))


def write_clip(path: Path, pictures: Iterator[Picture] | list[Picture], sound: Sound) -> None:
    """Write H.264 and AAC; picture ``i`` is shown at ``i / FRAME_RATE``, sample 0 at 0."""
    with av.open(path, "w") as container:
        video = container.add_stream("h264", rate=FRAME_RATE)
        video.width = video.height = PICTURE_SIZE
        video.pix_fmt = "yuv420p"
        # With several threads, or its macroblock tree, x264 does not always repeat itself.
        video.codec_context.thread_count = 1
        video.options = {"crf": "20", "preset": "slow", "x264-params": "mbtree=0"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        audio.bit_rate = 80_000
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        heard = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        heard.sample_rate, heard.pts = SAMPLE_RATE_HZ, 0
        heard.time_base = Fraction(1, SAMPLE_RATE_HZ)
        container.mux(audio.encode(heard))
        container.mux(audio.encode(None))


if __name__ == "__main__":
    sys.exit(main())
