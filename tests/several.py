"""Files with several pictures, sounds, channels and programmes, made of the samples."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

from avalign.media import read_audio

SAMPLES = Path(__file__).parents[1] / "samples"
FACE, NO_FACE = SAMPLES / "talking.mp4", SAMPLES / "no-face.mp4"
RATE_HZ = 48_000
DURATION_S = 4.8
PACKET = 188


@cache
def voice(lag_s: float = 0.2) -> np.ndarray:
    """The voice of the talking face, so much late, shape (n,)."""
    samples = read_audio(FACE, rate_hz=RATE_HZ).samples[: round(DURATION_S * RATE_HZ)]
    return np.pad(samples, (round(lag_s * RATE_HZ), 0))[: len(samples)]


def silence() -> np.ndarray:
    return np.zeros_like(voice())


def noise(level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, level, len(voice())).astype(np.float32)


def time_code() -> np.ndarray:
    """A linear time code: a square wave that changes its period with every bit."""
    bits = np.random.default_rng(1).integers(0, 2, 2400 * 9)
    period = RATE_HZ // 2400
    halves = np.repeat(np.where(bits, 2, 1), period)[: len(voice())]
    return (0.3 * np.sign(np.sin(np.pi * np.cumsum(halves) / period))).astype(np.float32)


def music(seed: int = 0) -> np.ndarray:
    """Chords that fade, a beat of 100 to the minute."""
    times_s = np.arange(len(voice())) / RATE_HZ
    random = np.random.default_rng(seed)
    sound = np.zeros(len(times_s))
    for beat_s in np.arange(0.0, times_s[-1], 0.6):
        since_s = np.maximum(times_s - beat_s, 0.0)
        root_hz = 220.0 * 2 ** (random.choice([0, 3, 5, 7, 10]) / 12)
        for note in (0, 4, 7):
            for overtone in (1, 2, 3):
                pitch_hz = root_hz * overtone * 2 ** (note / 12)
                fading = np.where(times_s >= beat_s, np.exp(-3.0 * since_s), 0.0) / overtone
                sound += 0.05 * fading * np.sin(2 * np.pi * pitch_hz * times_s)
    return sound.astype(np.float32)


def build(path: Path, pictures=(FACE,), sounds=(), *, codec="aac", **options) -> Path:
    """Write pictures, copied from files, and sounds, each of shape (C, n) or (n,).

    `layouts`, `dispositions` and `container_options` say more about the sounds and the file.
    """
    layouts = options.get("layouts", {})
    with av.open(
        str(path),
        "w",
        format=options.get("format"),
        container_options=options.get("container_options", {}),
    ) as out:
        feeds = []
        for source in pictures:
            reader = av.open(str(source))
            template = reader.streams.video[0]
            if path.suffix == ".mxf":  # FFmpeg puts no H.264 of an MP4 there
                stream = out.add_stream("mpeg2video", rate=template.average_rate)
                stream.width, stream.height = template.width, template.height
                stream.pix_fmt, stream.bit_rate = "yuv420p", 8_000_000
                feeds.append((stream, _recoded(reader, template, stream)))
                continue
            stream = out.add_stream_from_template(template, opaque=True)
            feeds.append((stream, _copied(reader, template, stream)))
        for number, sound in enumerate(sounds):
            sound = np.atleast_2d(sound)
            stream = out.add_stream(codec, rate=RATE_HZ)
            stream.layout = layouts.get(number, "mono" if len(sound) == 1 else "stereo")
            if codec == "aac":
                stream.bit_rate = 96_000 * len(sound)
            stream.disposition = options.get("dispositions", {}).get(number, 0)
            feeds.append((stream, _encoded(stream, sound)))
        out.start_encoding()
        packets = [packet for _, feed in feeds for packet in feed]
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            out.mux(packet)
    return path


def _copied(reader, template, stream):
    for packet in reader.demux(template):
        if packet.size and packet.pts * packet.time_base < DURATION_S:
            packet.stream = stream
            yield packet


def _recoded(reader, template, stream):
    for number, frame in enumerate(reader.decode(template)):
        if frame.time >= DURATION_S:
            break
        frame.pts, frame.time_base = number, 1 / template.average_rate
        frame.pict_type = 0
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _encoded(stream, sound):
    for begin in range(0, sound.shape[1], 1024):
        block = np.ascontiguousarray(sound[:, begin : begin + 1024].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            block.astype(np.float32), format="flt", layout=stream.layout.name
        )
        frame.sample_rate, frame.pts = RATE_HZ, begin
        frame.time_base = Fraction(1, RATE_HZ)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def programmes(path: Path, parts) -> Path:
    """Write a transport stream with a programme for each (pictures, sounds) of `parts`."""
    streams = []
    for number, (pictures, sounds) in enumerate(parts, start=1):
        one = build(
            path.with_name(f"{number}.ts"),
            pictures,
            sounds,
            container_options={
                "mpegts_service_id": str(number),
                "mpegts_pmt_start_pid": str(0x1000 + number),
                "mpegts_start_pid": str(0x100 * number),
            },
        )
        data = one.read_bytes()
        one.unlink()
        streams.append([data[at : at + PACKET] for at in range(0, len(data), PACKET)])
    table = _programme_table([(n, 0x1000 + n) for n in range(1, len(parts) + 1)])
    longest = max(map(len, streams))
    # Spread each over the length of the whole, as a multiplexer would.
    placed = sorted(
        ((at / len(packets), number, at) for number, packets in enumerate(streams)
         for at in range(len(packets)))
    )  # fmt: skip
    written = [table]
    for _, number, at in placed:
        packet = streams[number][at]
        if _pid(packet) == 0:
            continue
        if len(written) % (longest // 8 + 1) == 0:
            written.append(table)
        written.append(packet)
    path.write_bytes(b"".join(written))
    return path


def _pid(packet: bytes) -> int:
    return int.from_bytes(packet[1:3], "big") & 0x1FFF


def _programme_table(entries) -> bytes:
    body = b"".join(
        number.to_bytes(2, "big") + (0xE000 | pid).to_bytes(2, "big") for number, pid in entries
    )
    length = 5 + len(body) + 4
    section = b"\x00" + (0xB000 | length).to_bytes(2, "big") + b"\x00\x01\xc1\x00\x00" + body
    section += _checksum(section).to_bytes(4, "big")
    packet = b"\x47\x40\x00\x10\x00" + section
    return packet + b"\xff" * (PACKET - len(packet))


def _checksum(data: bytes) -> int:
    """CRC-32 as in MPEG-2."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
            value &= 0xFFFFFFFF
    return value


def with_unknown_picture(path: Path, source: Path) -> Path:
    """Copy a MOV so that nobody knows the codec of its first picture track."""
    data = bytearray(source.read_bytes())
    entry = data.find(b"avc1", data.find(b"stsd"))
    data[entry : entry + 4] = b"xxx1"
    described = data.find(b"avcC", entry)
    data[described : described + 4] = b"xxxC"
    path.write_bytes(data)
    return path


def with_unknown_sound(path: Path, source: Path, track: int) -> Path:
    """Copy a MOV so that nobody knows the codec of one AAC track, as with spatial audio."""
    data = bytearray(source.read_bytes())
    entries, at = [], data.find(b"stsd")
    while at >= 0:
        if data[at + 16 : at + 20] == b"mp4a":
            entries.append(at + 16)
        at = data.find(b"stsd", at + 4)
    entry = entries[track]
    data[entry : entry + 4] = b"apac"
    # Its description goes by another name as well, or FFmpeg would tell from that.
    described = data.find(b"esds", entry)
    data[described : described + 4] = b"dapa"
    path.write_bytes(data)
    return path
