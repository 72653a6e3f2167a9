"""The files of a synthetic clip."""

from __future__ import annotations

import json
import wave
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from avalign.streams import save_streams

if TYPE_CHECKING:
    from pathlib import Path

    from avalign.data.synthetic.clip import SyntheticClip
    from avalign.transcript import Transcript
    from avalign.types import AudioStream

UNITS_PER_S = 25_000  # of GRID's word times
ENDINGS = {
    "streams": ".streams.npz",
    "audio": ".wav",
    "words": ".align",
    "truth": ".truth.json",
}
SUFFIXES = tuple(ENDINGS.values())


def write_clip(clip: SyntheticClip, stem: Path, facts: Mapping[str, object]) -> dict[str, Path]:
    """Write streams, 16-bit WAV, words as they are seen, and the truth as JSON."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = {kind: stem.with_name(stem.name + ending) for kind, ending in ENDINGS.items()}
    save_streams(clip.source.streams, paths["streams"])
    _write_audio(clip.source.audio, paths["audio"])
    paths["words"].write_text(
        _grid_lines(clip.video_transcript, clip.source.streams.duration_s), encoding="utf-8"
    )
    truth = json.dumps({"synthetic": True, **facts, **_facts(clip)}, ensure_ascii=False)
    paths["truth"].write_text(truth + "\n", encoding="utf-8")
    return paths


def _write_audio(audio: AudioStream, path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.sample_rate_hz)
        file.writeframes(np.rint(audio.samples * 2**15).astype("<i2").tobytes())


def _grid_lines(words: Transcript, duration_s: float) -> str:
    """Write words between two silences, as GRID does."""
    spans = [(word.start_s or 0.0, word.end_s or 0.0, word.text) for word in words.words]
    edges_s = spans[0][0], spans[-1][1]
    spans = [(0.0, edges_s[0], "sil"), *spans]
    spans.append((edges_s[1], max(duration_s, edges_s[1]), "sil"))
    return "".join(
        f"{round(start_s * UNITS_PER_S)} {round(end_s * UNITS_PER_S)} {text}\n"
        for start_s, end_s, text in spans
    )


def _facts(clip: SyntheticClip) -> dict[str, object]:
    def rounded(times_s: object) -> list[float]:
        return [round(float(time_s), 6) for time_s in np.asarray(times_s, np.float64)]

    return {
        "phones": [
            [phone.symbol, *rounded([phone.start_s, phone.end_s])] for phone in clip.phones
        ],
        "words_heard": [
            [word.text, *rounded([word.start_s, word.end_s])]
            for word in clip.audio_transcript.words
        ],
        "words_seen": [
            [word.text, *rounded([word.start_s, word.end_s])]
            for word in clip.video_transcript.words
        ],
        "warp": {
            "picture_s": rounded(clip.warp.reference_s),
            "sound_s": rounded(clip.warp.other_s),
        },
        "dropped_pictures_s": rounded(clip.dropped_s),
    }
