"""How often video tracks show a face, by a few of their frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from avalign.errors import MediaError
from avalign.streams.listening import LOOKED_AT_S

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from avalign.types import MediaClip

LOOKS = 6


def count_faces(clip: MediaClip, among: Iterable[int]) -> dict[int, int]:
    """Count in how many of a few pictures each track shows a face for certain."""
    from avalign.vision import FaceFinder

    images_of = {track: _sample_frames(clip, track) for track in among}
    with FaceFinder() as finder:
        for find in (finder.find, finder.find_small):
            counts = {
                track: sum(
                    any(finder.is_sure(image, face) for face in find(image)) for image in images
                )
                for track, images in images_of.items()
            }
            if any(counts.values()):
                break
    return counts


def _sample_frames(clip: MediaClip, track: int) -> list[NDArray[np.uint8]]:
    """Return a few pictures spread over the first minute of a track."""
    from avalign.media import iter_frames
    from avalign.types import ANALYSED_SIDE

    video = clip.video_tracks[track]
    length_s = min(video.duration_s or clip.duration_s or LOOKED_AT_S, LOOKED_AT_S)
    images: list[NDArray[np.uint8]] = []
    for look in range(LOOKS):
        start_s = video.start_s + length_s * (look + 0.5) / LOOKS
        try:
            frames = iter_frames(
                clip.path, track=track, max_side=ANALYSED_SIDE, start_s=start_s
            )
            frame = next(frames, None)
        except MediaError:
            return images
        if frame is not None:
            images.append(frame.image)
    return images
