"""`avalign extract`: save what alignment needs, and nothing that shows a face."""

import os
from pathlib import Path
from typing import Annotated

import typer

from avalign_cli import options
from avalign_cli.ui import Screen

__all__ = ["EXAMPLES", "extract"]

EXAMPLES = """\b
Examples:
  avalign extract talk.mp4                     write talk.npz
  avalign extract talk.mp4 -o streams.npz
  avalign check streams.npz
"""


def extract(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A video.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The .npz file to write.",
            show_default="VIDEO.npz",
        ),
    ] = None,
    audio: options.Audio = None,
    video_track: options.VideoTrack = None,
    audio_track: options.AudioTrack = None,
    channel: options.Channel = None,
    jobs: options.Jobs = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Save the sound features and lip landmarks of a video.

    The file holds no picture and no sound. `check` and `sync --dry-run` take it in place of
    the video.
    """
    from avalign.files import check_target
    from avalign.media import probe
    from avalign.streams import choose_tracks, extract, is_streams_file, save_streams

    screen = Screen(quiet=quiet, verbose=verbose)
    target = output or Path(f"{os.path.splitext(video)[0]}.npz")
    sources: tuple[str | Path, ...] = (video,) if audio is None else (video, audio)
    check_target(sources, target, overwrite=overwrite, suffix=".npz")
    notes: tuple[str, ...] = ()
    if not is_streams_file(video):
        tracks = choose_tracks(
            probe(video),
            audio=audio,
            video_track=video_track,
            audio_track=audio_track,
            channel=channel,
        )
        video_track, notes = tracks.video, tracks.notes
        audio_track, channel = tracks.audio.track, tracks.audio.channel
    with screen.progress(f"Reading {video}") as progress:
        streams = extract(
            video,
            audio=audio,
            video_track=video_track,
            audio_track=audio_track,
            channel=channel,
            jobs=jobs,
            progress=progress,
        )
    save_streams(streams, target, overwrite=overwrite)
    faces = {0: "no face", 1: "1 face"}.get(len(streams.lips), f"{len(streams.lips)} faces")
    screen.result(f"{video}: {streams.duration_s:.1f} s, {faces}. Wrote {target}.")
    for note in notes:
        screen.note(f"note: {note}")
    for lips in streams.lips:
        screen.detail(
            f"  face {lips.track_id}: usable in {lips.valid.mean():.0%} of its pictures"
        )
    return 0
