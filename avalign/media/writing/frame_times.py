"""Whether a container can say when the pictures of a file are shown."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from avalign.errors import MediaError
from avalign.media.reading.decoding import demux
from avalign.media.reading.opening import has_decoder, open_input, video_streams

if TYPE_CHECKING:
    from pathlib import Path

    from avalign.types import MediaClip

# The first packets of a recording that was cut may lack a time.
FIRST_PACKETS = 100


def check_frame_times(clip: MediaClip, target: Path, *, hides_frames: bool) -> None:
    """Refuse to copy frames that have no times, or whose times `target` cannot hold."""
    for track in range(len(clip.video_tracks)):
        _check_track(clip, track, target, hides_frames)


def _check_track(clip: MediaClip, track: int, target: Path, hides_frames: bool) -> None:
    with open_input(clip.path) as container:
        stream = video_streams(container)[track]
        # The numbers alone: a hundred packets of a large picture fill the memory.
        first = [
            (packet.pts, packet.dts, packet.is_discard)
            for packet in islice(demux(container, stream), FIRST_PACKETS)
        ]
        reordered = has_decoder(stream) and stream.codec_context.has_b_frames
    if first and all(pts is None and dts is None for pts, dts, _ in first):
        raise MediaError(
            f"{clip.path}: its pictures have no times",
            "put them into a container first, for instance: "
            f"ffmpeg -r 25 -i {clip.path.name} -c copy {clip.path.stem}.mp4",
        )
    delays = {pts - dts for pts, dts, _ in first if pts is not None and dts is not None}
    if clip.format_name == "avi" and reordered and len(delays) == 1:
        # FFmpeg can work the times out for MPEG-4, and not for H.264.
        raise MediaError(
            f"{clip.path}: does not say when its pictures, stored out of order, are shown",
            "keep the ending .avi",
        )
    if first and first[0][2] and not hides_frames:
        raise MediaError(
            f"{target}: {target.suffix} cannot hide the pictures in front that the edit list "
            f"of {clip.path} hides",
            "write an .mp4 or .mov instead",
        )
