"""Small whole files of every kind that avalign reads, to be damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from avalign import load_streams, save_streams
from avalign.media import iter_frames, read_audio
from avalign.types import ClipStreams, FeatureStream, LipStream

__all__ = ["Seed", "make_seeds"]

SAMPLE = Path(__file__).parents[2] / "samples" / "talking.mp4"
CLIP_S = 0.8
FPS = 15
SIDE = 128
RATE_HZ = 16_000


@dataclass(frozen=True)
class Seed:
    """A file, what must lie beside it, and which target reads it.

    Parameters
    ----------
    target : str
        Name of a function of `targets`.
    name : str
        Name of the file that is damaged.
    files : dict of str to bytes
        All files by name, the damaged one among them.
    weight : float
        How often this seed is drawn, beside the others.
    """

    target: str
    name: str
    files: dict[str, bytes]
    weight: float = 1.0

    @property
    def data(self) -> bytes:
        return self.files[self.name]


# Ending, picture codec, sound codecs, and what else is said to the muxer.
VIDEOS = (
    ("talk.mp4", "libx264", ["aac"], {}),
    ("start.mp4", "libx264", ["aac", "aac"], {"movflags": "faststart"}),
    ("live.mp4", "libx264", ["aac"], {"movflags": "frag_keyframe+empty_moov"}),
    ("talk.mov", "mjpeg", ["pcm_s16le"], {}),
    ("late.mov", "libx264", ["aac"], {}),
    ("talk.m4v", "mpeg4", ["aac"], {}),
    ("talk.3gp", "h263", ["libopencore_amrnb"], {}),
    ("talk.mkv", "libx264", ["flac"], {}),
    ("several.mkv", "libx264", ["aac", "ac3", "libopus"], {}),
    ("talk.webm", "libvpx", ["libopus"], {}),
    ("talk.avi", "mpeg4", ["libmp3lame"], {}),
    ("pcm.avi", "mjpeg", ["pcm_s16le"], {}),
    ("talk.mpg", "mpeg1video", ["mp2"], {}),
    ("talk.vob", "mpeg2video", ["ac3"], {}),
    ("talk.ts", "libx264", ["aac"], {}),
    ("several.ts", "mpeg2video", ["mp2", "ac3"], {}),
    ("talk.m2ts", "libx264", ["ac3"], {"mpegts_m2ts_mode": "1"}),
    ("talk.flv", "flv", ["libmp3lame"], {}),
    ("h264.flv", "libx264", ["aac"], {}),
    ("talk.wmv", "wmv2", ["wmav2"], {}),
    ("talk.ogv", "libvpx", ["libopus"], {}),
    ("talk.mxf", "mpeg2video", ["pcm_s16le"], {}),
    ("talk.nut", "mpeg4", ["mp2"], {}),
    ("talk.gxf", "mpeg2video", ["pcm_s16le"], {}),
)
SOUNDS = (
    *(("a.wav", "pcm_s16le"), ("f.wav", "pcm_f32le"), ("a.w64", "pcm_s16le")),
    *(("a.mp3", "libmp3lame"), ("a.flac", "flac"), ("a.aac", "aac"), ("a.m4a", "aac")),
    *(("a.ogg", "flac"), ("a.opus", "libopus"), ("a.aiff", "pcm_s16be")),
    *(("a.caf", "pcm_s16le"), ("a.au", "pcm_s16be"), ("a.ac3", "ac3"), ("a.wv", "wavpack")),
    *(("a.tta", "tta"), ("a.mka", "libopus"), ("a.amr", "libopencore_amrnb")),
    ("a.wma", "wmav2"),
)
RATES_HZ = {"libopencore_amrnb": 8000, "ac3": 32_000, "libmp3lame": 44_100, "mp2": 32_000}
FORMATS = {".mka": "matroska", ".wma": "asf", ".opus": "ogg", ".mxf": "mxf", ".m4a": "ipod"}


def make_seeds() -> list[Seed]:
    """Make all seeds.

    Returns
    -------
    list of Seed
        Always the same.
    """
    frames = [frame.image for frame in iter_frames(SAMPLE, max_side=SIDE)][::2]
    frames = frames[: round(FPS * CLIP_S)]
    samples = read_audio(SAMPLE, rate_hz=RATE_HZ).samples
    seeds = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for name, picture, sounds, options in VIDEOS:
            start_s = 0.2 if name == "late.mov" else 0.0
            path = _encode(folder / name, frames, samples, picture, sounds, options, start_s)
            seeds.append(Seed("video", name, {name: path.read_bytes()}, 2.0))
        clip = (folder / "talk.mp4").read_bytes()
        for name, codec in SOUNDS:
            path = _encode(folder / name, [], samples, None, [codec], {})
            files = {"talk.mp4": clip, name: path.read_bytes()}
            seeds.append(Seed("sound", name, files))
        seeds += _streams(folder)
        seeds += [*_texts(clip), *_tables(clip), *_weights(folder, clip)]
    return seeds


def _encode(path, frames, samples, picture, sounds, options, start_s=0.0):
    """Write pictures and sound; the encoders are told to work alike everywhere."""
    kind = FORMATS.get(path.suffix)
    options = {**options, "fflags": "+bitexact"}
    with av.open(str(path), "w", format=kind, container_options=options) as out:
        streams = []
        fps = 25 if path.suffix in (".mxf", ".gxf", ".mpg", ".vob") else FPS
        if picture:
            stream = out.add_stream(picture, rate=fps)
            stream.width, stream.height = (352, 288) if picture == "h263" else (SIDE, SIDE)
            if path.suffix == ".gxf":
                stream.width, stream.height = 720, 608
            stream.pix_fmt = "yuvj420p" if picture == "mjpeg" else "yuv420p"
            stream.codec_context.gop_size = 6
            stream.codec_context.thread_count = 1
            stream.options = {"threads": "1"}
            streams.append((stream, _pictures(stream, frames, fps, start_s)))
        for codec in sounds:
            rate = 48_000 if path.suffix in (".mxf", ".gxf") else RATES_HZ.get(codec, RATE_HZ)
            sound = out.add_stream(codec, rate=rate)
            sound.layout = "mono"
            if codec == "wmav2":
                sound.bit_rate = 32_000
            streams.append((sound, _sound(sound, samples, rate)))
        packets = [list(feed) for _, feed in streams]
        for packet in sorted(
            (packet for feed in packets for packet in feed),
            key=lambda packet: packet.dts * packet.time_base,
        ):
            out.mux(packet)
    return path


def _pictures(stream, frames, fps, start_s):
    for number, image in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(image).reformat(
            stream.width, stream.height, stream.pix_fmt
        )
        frame.pts, frame.time_base = number + round(start_s * fps), Fraction(1, fps)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _sound(stream, samples, rate):
    step = RATE_HZ / rate
    places = np.arange(0, CLIP_S * RATE_HZ, step)
    mono = np.interp(places, np.arange(len(samples)), samples).astype(np.float32)
    for begin in range(0, len(mono), 1024):
        block = mono[begin : begin + 1024][None]
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate, frame.pts = rate, begin
        frame.time_base = Fraction(1, rate)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _streams(folder: Path) -> Iterator[Seed]:
    """Streams of five seconds in which lips and sound move at random, but together."""
    random = np.random.default_rng(0)

    def stream(kind, rate_hz, columns, **more):
        times_s = np.arange(0, 5, 1 / rate_hz)
        values = np.cumsum(random.normal(0, 0.1, (len(times_s), columns)), 0)
        valid = np.ones(len(times_s), bool)
        make = LipStream if more else FeatureStream
        return make(values.astype("f4"), times_s, valid, kind, **more)

    mfcc = stream("mfcc", 100, 13)
    speech = FeatureStream(np.ones((len(mfcc), 1), "f4"), mfcc.times_s, mfcc.valid, "speech")

    def lips(track):
        count = len(np.arange(0, 5, 1 / 25))
        return stream(
            *("lips", 25, 123),
            landmarks=random.uniform(0.4, 0.6, (count, 41, 3)).astype("f4"),
            head_pose=np.zeros((count, 3), "f4"),
            boxes=np.tile(np.array([0.3, 0.3, 0.3, 0.3], "f4"), (count, 1)),
            track_id=track,
            picture_size=(640, 480),
        )

    for name, faces in (("one.npz", 1), ("two.npz", 2)):
        path = folder / name
        found = tuple(lips(track) for track in range(faces))
        save_streams(ClipStreams(mfcc, speech, found, "talk.mp4", 5.0, 25.0), path)
        assert len(load_streams(path).lips) == faces
        yield Seed("streams", name, {name: path.read_bytes()}, 5.0)


def _texts(clip: bytes) -> Iterator[Seed]:
    srt = (
        "1\n00:00:00,100 --> 00:00:00,600\nbin <i>blue</i>\n\n"
        "2\n00:00:00,600 --> 00:00:01,200\nat f two now\n"
    )
    vtt = "WEBVTT\n\n00:00.100 --> 00:00.600 align:start\nbin blue\n"
    grid = "0 23750 sil\n23750 29500 bin\n29500 34000 blue\n34000 35500 at\n35500 74500 sil\n"
    plain = "bin blue at f two now\n"
    for name, text, weight in (
        *(("words.srt", srt, 2.0), ("words.align", grid, 2.0)),
        *(("words.vtt", vtt, 0.5), ("words.txt", plain, 0.5)),
    ):
        yield Seed("transcript", name, {name: text.encode()}, weight)
    table = (
        "path,split,speaker,label,text,start,end,weights_ok,transcript,note\n"
        "talk.mp4,train,anna,happy,bin blue,0.1,0.5,1,words.srt,\n"
        'talk.mp4,dev,bert,sad,"at f, two",0.5,0.7,0,,"a ""b"""\n'
    )
    files = {"talk.mp4": clip, "words.srt": srt.encode(), "m.csv": table.encode()}
    yield Seed("manifest", "m.csv", files, 4.0)


def _tables(clip: bytes) -> Iterator[Seed]:
    import io

    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = pa.table(
        {
            "path": ["talk.mp4", "talk.mp4"],
            "split": ["train", "dev"],
            "start": [0.1, 0.5],
            "end": [0.5, 0.7],
            "weights_ok": [True, False],
        }
    )
    for name, options in (("m.parquet", {}), ("zip.parquet", {"compression": "gzip"})):
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, **options)
        yield Seed("manifest", name, {"talk.mp4": clip, name: buffer.getvalue()}, 3.0)


def _weights(folder: Path, clip: bytes) -> Iterator[Seed]:
    import torch

    from avalign.align.confidence import load_calibration
    from avalign.recognition.evaluation.limits import AnswerLimits, Limit, write_calibration
    from avalign.recognition.model.files import save_model
    from avalign.recognition.model.recognizer import Recognizer
    from avalign.recognition.model.settings import RecognizerSettings, StreamSettings
    from avalign.space import EncoderSettings, SpaceModel, SpaceSettings, build_space
    from avalign.space.model import expected_shapes
    from avalign.space.model import save_model as save_space

    torch.set_num_threads(1)
    torch.manual_seed(0)
    random = np.random.default_rng(1)

    settings = SpaceSettings(
        **{"lip_components": 4, "channels": 6, "dimensions": 4},
        audio=EncoderSettings((3, 3), (1, 1), stride=2),
        lips=EncoderSettings((3, 3), (1, 1)),
    )
    weights = {
        name: random.normal(0.5, 0.2, shape).astype("f4")
        for name, shape in expected_shapes(settings).items()
    }
    save_space(SpaceModel(settings, weights), folder / "space.safetensors")
    streams = (folder / "one.npz").read_bytes()
    calibration = load_calibration().to_json().encode()
    for name in ("space.safetensors", "calibration.json"):
        files = {"space.safetensors": (folder / "space.safetensors").read_bytes()}
        files |= {"one.npz": streams, "calibration.json": calibration}
        yield Seed("space", name, files, 5.0)

    rows = random.normal(size=(200, 3))
    for name, more in (
        ("cca", {}),
        ("kernel_cca", {"features": 20}),
        ("deep_cca", {"steps": 2}),
    ):
        target = folder / name
        build_space(name, **more).fit(rows, rows[:, :2]).save(target)
        files = {path.name: path.read_bytes() for path in sorted(target.iterdir())}
        for victim in files:
            yield Seed("estimator", victim, files, 2.0)

    mfcc, lips = StreamSettings.of("mfcc"), StreamSettings.of("lip_points", components=4)
    for name, heads in (
        ("speech", {"characters": " abc"}),
        ("emotion", {"characters": "", "labels": ("calm", "happy"), "values": ("valence",)}),
    ):
        target = folder / name
        shape = RecognizerSettings(
            streams={"audio": mfcc, "lips": lips}, fusion="early", width=8, dropout=0.0, **heads
        )
        save_model(Recognizer(shape).eval(), target)
        limits = {"audio+lips": Limit(0.5, 0.9, 0.9)}
        write_calibration(AnswerLimits(limits, {"audio+lips": 0.5}), target)
        files = {path.name: path.read_bytes() for path in sorted(target.iterdir())}
        for victim in files:
            yield Seed("recognizer", victim, {**files, "talk.mp4": clip}, 2.0)
