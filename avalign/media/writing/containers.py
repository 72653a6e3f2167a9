"""What each container can say about when its sound starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from avalign.errors import MediaError, ParameterError
from avalign.media.writing.frame_times import check_frame_times
from avalign.types import MediaClip

# Pictures that editors expect in QuickTime files.
QUICKTIME = frozenset(
    {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "prores", "dnxhd", "dvvideo"}
    | {"jpeg2000", "rawvideo", "v210", "h263", "png", "qtrle"}
)


class StartTime(Enum):
    """How a container says that a track starts early or late."""

    EDIT_LIST = "edit list"
    """Any start; sound from before zero stays in the file and is not played."""

    TIMESTAMPS = "timestamps"
    """Any start from zero on."""

    NONE = "none"
    """All tracks start together."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container format as FFmpeg writes it."""

    muxer: str
    start_time: StartTime
    options: dict[str, str]
    has_chapters: bool = True
    has_tags: bool = True
    # Codecs that can be read back with their times; None: whatever the muxer takes.
    video_codecs: frozenset[str] | None = None
    audio_codecs: frozenset[str] | None = None

    @property
    def has_attachments(self) -> bool:
        """Whether it can hold files, such as fonts, beside its streams."""
        return self.muxer == "matroska"

    @property
    def has_time_code(self) -> bool:
        """Whether it can hold the time of day, or of the reel, of the first picture."""
        return self.muxer in ("mp4", "mov", "matroska", "webm", "avi")

    @property
    def holds_pcm(self) -> bool:
        """Whether players expect plain PCM there."""
        return self.audio_codecs is None and self.muxer not in (
            "mp4",
            "3gp",
            "3g2",
            "flv",
            "webm",
        )

    def holds_video(self, codec: str) -> bool:
        """Tell whether pictures of that codec can be read back."""
        return self.video_codecs is None or codec in self.video_codecs

    def holds_subtitles(self, codec: str) -> bool:
        """Tell whether subtitles stay subtitles: MPEG has those of broadcast and DVD."""
        return self.muxer not in ("mpegts", "vob", "mpeg") or codec.startswith(("dvb", "dvd"))


# Edit lists count in units of the whole file's clock; its usual millisecond is
# too coarse for a start in the middle of a sample.
_MOVIE_CLOCK = {"movie_timescale": "90000"}
# The delay between the clock reference and the pictures that decoders expect.
_BROADCAST = {"max_delay": "700000"}

_TRANSPORT = Container(
    "mpegts",
    StartTime.TIMESTAMPS,
    _BROADCAST,
    has_chapters=False,
    has_tags=False,
    video_codecs=frozenset({"mpeg1video", "mpeg2video", "h264", "hevc"}),
    audio_codecs=frozenset(
        {"aac", "aac_latm", "mp1", "mp2", "mp3", "ac3", "eac3", "dts", "opus", "s302m"}
    ),
)
# What cameras and Blu-rays write: a time before every packet, and PCM of a kind of its own.
_AVCHD = replace(
    _TRANSPORT,
    options=_BROADCAST | {"mpegts_m2ts_mode": "1"},
    audio_codecs=_TRANSPORT.audio_codecs and _TRANSPORT.audio_codecs | {"pcm_bluray", "truehd"},
)
_PROGRAM = Container(
    "vob",
    StartTime.TIMESTAMPS,
    _BROADCAST,
    has_chapters=False,
    has_tags=False,
    video_codecs=frozenset({"mpeg1video", "mpeg2video"}),
    audio_codecs=frozenset({"mp2", "mp3", "ac3", "dts", "pcm_dvd", "pcm_s16be"}),
)
# FFmpeg writes decoding times alone there. For H.264 and later codecs, which may store
# pictures in any order, a reader can only guess from them when each is shown.
_WINDOWS = Container(
    "asf",
    StartTime.TIMESTAMPS,
    {},
    video_codecs=frozenset(
        {"wmv1", "wmv2", "wmv3", "vc1", "mpeg4", "msmpeg4v2", "msmpeg4v3", "mjpeg"}
    ),
)

_BY_SUFFIX = {
    ".mp4": Container("mp4", StartTime.EDIT_LIST, _MOVIE_CLOCK),
    ".m4v": Container("mp4", StartTime.EDIT_LIST, _MOVIE_CLOCK),
    ".m4a": Container("mp4", StartTime.EDIT_LIST, _MOVIE_CLOCK),
    ".mov": Container("mov", StartTime.EDIT_LIST, _MOVIE_CLOCK),
    ".qt": Container("mov", StartTime.EDIT_LIST, _MOVIE_CLOCK),
    ".3gp": Container("3gp", StartTime.EDIT_LIST, _MOVIE_CLOCK),
    ".3g2": Container("3g2", StartTime.EDIT_LIST, _MOVIE_CLOCK),
    ".mkv": Container("matroska", StartTime.TIMESTAMPS, {}),
    ".webm": Container("webm", StartTime.TIMESTAMPS, {}),
    ".ts": _TRANSPORT,
    ".mts": _AVCHD,
    ".m2ts": _AVCHD,
    ".mpg": _PROGRAM,
    ".mpeg": _PROGRAM,
    ".vob": _PROGRAM,
    ".flv": Container("flv", StartTime.TIMESTAMPS, {}, has_chapters=False),
    ".wmv": _WINDOWS,
    ".asf": _WINDOWS,
    ".avi": Container("avi", StartTime.NONE, {}, has_chapters=False),
}
_MPEG1_SYSTEM = replace(_PROGRAM, muxer="mpeg")


def container_for(path: Path, clip: MediaClip) -> Container:
    """Return the container that the ending of `path` asks for.

    Parameters
    ----------
    path : Path
        The file to write.
    clip : MediaClip
        The file that its picture comes from.

    Returns
    -------
    Container
        How a file of that format is written.

    Raises
    ------
    ParameterError
        If avalign does not write such files.
    MediaError
        If such files cannot hold the pictures of `clip`, or not their times.
    """
    suffix = path.suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise ParameterError(
            f"{path}: cannot write a video with the ending {suffix or '(none)'!r}",
            f"name it with -o, such as -o {clip.path.stem}{_ending_for(clip)}; "
            f"endings are {' '.join(sorted(_BY_SUFFIX))}",
        )
    kind = _BY_SUFFIX[suffix]
    if kind.start_time is StartTime.NONE and kind.muxer != clip.format_name:
        # It has no timestamps, so pictures from elsewhere would change their times.
        raise ParameterError(
            f"{path}: {suffix} is written only from {suffix}",
            f"keep the ending {clip.path.suffix} of the source",
        )
    for track in clip.video_tracks:
        # What was read from such a file has in its packets what others lack there.
        if clip.format_name != kind.muxer and not kind.holds_video(track.codec):
            raise MediaError(
                f"{path}: {suffix} cannot hold {track.codec} pictures",
                "write an .mkv instead",
            )
    if kind.start_time is not StartTime.NONE:
        hides_frames = kind.start_time is StartTime.EDIT_LIST
        check_frame_times(clip, path, hides_frames=hides_frames)
    if suffix in (".mpg", ".mpeg") and clip.video_tracks[0].codec == "mpeg1video":
        return _MPEG1_SYSTEM
    return kind


def _ending_for(clip: MediaClip) -> str:
    """Return an ending that the pictures of `clip` can be written with."""
    return ".mov" if {track.codec for track in clip.video_tracks} <= QUICKTIME else ".mkv"


def plays_in(kind: Container, codec: str, source: MediaClip | None = None) -> bool:
    """Tell whether `codec` sound is at home in a container, as in the `source` it is from."""
    if kind.audio_codecs is not None:
        return codec in kind.audio_codecs
    if not (is_pcm(codec) and kind.muxer in ("mp4", "3gp", "3g2")):
        return True
    # Cameras write PCM there, which those players expect that are used with them.
    return (
        source is not None
        and kind.muxer in source.format_name.split(",")
        and source.path.suffix.lower() in _BY_SUFFIX
        and _BY_SUFFIX[source.path.suffix.lower()].muxer == kind.muxer
    )


def is_pcm(codec: str) -> bool:
    """Tell whether `codec` holds samples as they are."""
    return codec.startswith("pcm_") or codec == "s302m"
