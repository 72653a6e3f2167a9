"""Which tracks of a transport stream belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avalign.media.reading.opening import open_input, video_streams

if TYPE_CHECKING:
    from avalign.files import StrPath

# PyAV tells nothing of programmes, and FFmpeg only in its log: their tables are read here.
# They come several times a second.
TABLES_WITHIN = 4 << 20
PACKET = 188
# Plain packets, those with a time in front (AVCHD, Blu-ray), those with a check behind.
SIZES = (188, 192, 204)
SYNC = 0x47
PAT_PID, PAT, PMT = 0, 0, 2
# Table id, length, number, version, section and last section.
HEADER, CHECKSUM = 8, 4


@dataclass(frozen=True, slots=True)
class Programme:
    """The tracks of one programme.

    Parameters
    ----------
    number : int
        What the stream calls it.
    video_tracks, audio_tracks : tuple of int
        Positions among the picture tracks and among the sound tracks of the file.
    """

    number: int
    video_tracks: tuple[int, ...]
    audio_tracks: tuple[int, ...]


def programmes(path: StrPath) -> tuple[Programme, ...]:
    """Tell which tracks of a transport stream belong together.

    Parameters
    ----------
    path : str or PathLike
        A local file.

    Returns
    -------
    tuple of Programme
        In the order of the stream's table; none for other files, and where the tables
        cannot be read.

    Raises
    ------
    MediaError
        If the file cannot be read as a media file.
    """
    with open_input(path) as container:
        if container.format.name != "mpegts":
            return ()
        videos = [stream.id for stream in video_streams(container)]
        audios = [stream.id for stream in container.streams.audio]
    with open(path, "rb") as file:
        tables = _tables(file.read(TABLES_WITHIN))
    return tuple(
        Programme(
            number,
            tuple(track for track, pid in enumerate(videos) if pid in pids),
            tuple(track for track, pid in enumerate(audios) if pid in pids),
        )
        for number, pids in tables.items()
    )


def _tables(data: bytes) -> dict[int, set[int]]:
    """Return the elementary PIDs of each programme, by its number."""
    maps: dict[int, int] = {}
    found: dict[int, set[int]] = {}
    for pid, section in _sections(data):
        body = section[HEADER:-CHECKSUM]
        if pid == PAT_PID and section[0] == PAT:
            for entry in _groups(body, 4):
                number = int.from_bytes(entry[:2], "big")
                if number:  # 0 is the network's own table
                    maps.setdefault(number, _pid(entry[2:4]))
        elif section[0] == PMT and pid in maps.values():
            number = int.from_bytes(section[3:5], "big")
            if maps.get(number) == pid:
                found.setdefault(number, set()).update(_elementary(body))
    return {number: found[number] for number in maps if number in found}


def _elementary(body: bytes) -> Iterator[int]:
    """Yield the PIDs that a programme's table names."""
    at = 4 + _length(body[2:4])  # behind what describes the programme as a whole
    while at + 5 <= len(body):
        yield _pid(body[at + 1 : at + 3])
        at += 5 + _length(body[at + 3 : at + 5])


def _sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (PID, section) of all tables that are complete."""
    waiting: dict[int, bytes] = {}
    for packet in _packets(data):
        pid, starts = _pid(packet[1:3]), packet[1] & 0x40
        if not packet[3] & 0x10:
            continue  # nothing but adaptation
        payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if starts and payload[:3] != b"\0\0\1":  # else the beginning of a picture or sound
            waiting[pid] = payload[1 + payload[0] :] if payload else b""
        elif pid in waiting and not starts:
            waiting[pid] += payload
        else:
            continue
        while len(waiting[pid]) >= 3 and waiting[pid][0] != 0xFF:
            size = 3 + _length(waiting[pid][1:3])
            if len(waiting[pid]) < size:
                break
            if size >= HEADER + CHECKSUM:
                yield pid, waiting[pid][:size]
            waiting[pid] = waiting[pid][size:]
        else:
            del waiting[pid]


def _packets(data: bytes) -> Iterator[bytes]:
    """Yield the packets of 188 bytes, whatever lies between them."""
    for size in SIZES:
        lead = 4 if size == 192 else 0
        ends = range(lead, min(len(data), lead + 5 * size), size)
        if len(data) > lead + size and all(data[at] == SYNC for at in ends):
            for at in range(lead, len(data) - PACKET + 1, size):
                if data[at] == SYNC:
                    yield data[at : at + PACKET]
            return


def _groups(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data) - size + 1, size))


def _pid(two: bytes) -> int:
    return int.from_bytes(two, "big") & 0x1FFF


def _length(two: bytes) -> int:
    return int.from_bytes(two, "big") & 0x0FFF
