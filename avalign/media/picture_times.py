"""Whether a container can say when the pictures of a file are shown."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from avalign.errors import MediaError
from avalign.media.decoding import demux
from avalign.media.opening import open_input, picture_streams

if TYPE_CHECKING:
    from pathlib import Path

    from avalign.types import MediaClip

__all__ = ["check_picture_times"]

# The first packets of a recording that was cut may lack a time.
FIRST_PACKETS = 100


def check_picture_times(clip: MediaClip, target: Path, *, hides_pictures: bool) -> None:
    """Refuse to copy pictures whose times would be lost.

    Parameters
    ----------
    clip : MediaClip
        The file that the pictures come from.
    target : Path
        The file to write.
    hides_pictures : bool
        Whether an edit list can hide pictures there that are only decoded from.

    Raises
    ------
    MediaError
        If the pictures have no times, or the container of `target` cannot tell them.
    """
    with open_input(clip.path) as container:
        packets = islice(demux(container, *picture_streams(container)[:1]), FIRST_PACKETS)
        first = next(packets, None)
        if first is None:
            return
        hidden = first.is_discard
        timed = any(
            packet.pts is not None or packet.dts is not None
            for packet in chain([first], packets)
        )
    if not timed:
        raise MediaError(
            f"{clip.path}: its pictures have no times",
            "put them into a container first, for instance: "
            f"ffmpeg -r 25 -i {clip.path.name} -c copy {clip.path.stem}.mp4",
        )
    if hidden and not hides_pictures:
        raise MediaError(
            f"{target}: {target.suffix} cannot hide the pictures in front that the edit list "
            f"of {clip.path} hides",
            "write an .mp4 or .mov instead",
        )
