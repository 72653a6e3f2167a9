"""Features of many sounds at once: on a GPU where there is one, over processes elsewhere.

The batched transform computes in double precision, as the reference does, because a quiet
band beside a loud one would not survive single precision; its rows equal those of
`avalign.audio` within 1e-4. Where torchaudio loads, its spectrogram is used, else plain
torch does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from avalign.audio import (
    DELTA_FRAMES,
    POWER_FLOOR,
    MfccSettings,
    dct_basis,
    hann_window,
    log_mel,
    mel_filters,
    mfcc,
)
from avalign.errors import MissingDependencyError, ParameterError, import_guard
from avalign.processes import cores, for_each
from avalign.types import AudioStream, FeatureStream

if TYPE_CHECKING:
    import torch

Engine = Literal["auto", "torch", "torchaudio", "processes"]
Kind = Literal["log_mel", "mfcc"]

# Samples of a batch, padding included: about 4 minutes at 16 kHz.
BATCH_SAMPLES = 2**22
# Frames transformed at once: each holds some 10 KiB until it is bands.
FRAMES_PER_CHUNK = 2**15


def features_in_bulk(
    audios: Sequence[AudioStream],
    settings: MfccSettings | None = None,
    *,
    kind: Kind = "mfcc",
    deltas: int = 0,
    engine: Engine = "auto",
    device: str | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[FeatureStream]:
    """Compute log-mel bands or MFCC of many sounds.

    Parameters
    ----------
    audios : sequence of AudioStream
        The sounds, each whole, all at the rate of the settings.
    settings : MfccSettings, optional
        As for `avalign.audio.mfcc`.
    kind : {"mfcc", "log_mel"}
        Which features.
    deltas : {0, 1, 2}
        Derivatives appended to MFCC.
    engine : {"auto", "torch", "torchaudio", "processes"}
        Who computes: by default torch where it finds a GPU (with torchaudio's spectrogram
        where that loads), and the CPU extractor over a process pool elsewhere.
    device : str, optional
        Where torch computes, such as ``"cuda:1"``; by default a GPU where there is one.
    jobs : int, optional
        Processes; by default as many as there are cores. With one, this process works.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    list of FeatureStream
        In the order of the sounds; each equals ``avalign.audio.mfcc`` (or ``log_mel``) of
        its sound within 1e-4.

    Raises
    ------
    ParameterError
        If an option cannot be used, or a sound, as for `avalign.audio.mfcc`; the message
        names it by its number.
    MissingDependencyError
        If the engine that is asked for does not load.
    """
    settings = settings or MfccSettings()
    _check_options(kind, deltas, engine, jobs)
    for number, audio in enumerate(audios):
        _check_audio(number, audio, settings, deltas if kind == "mfcc" else 0)
    engine = _choose(engine, device)
    report = progress or (lambda fraction: None)
    if engine == "processes":
        return _over_processes(audios, settings, kind, deltas, jobs or cores(), report)
    return _over_batches(audios, settings, kind, deltas, engine, device, report)


def log_mel_batch(
    samples: torch.Tensor, settings: MfccSettings | None = None, *, engine: Engine = "torch"
) -> torch.Tensor:
    """Compute log-mel bands in dB, [B, N] -> float32 [B, 1 + N // hop, n_mels].

    Shorter clips end in zeros; of n samples, the first 1 + n // hop rows count.
    """
    import torch

    settings = settings or MfccSettings()
    samples = samples.to(torch.float64)
    window = torch.from_numpy(hann_window(settings)).to(samples.device)
    filters = torch.from_numpy(mel_filters(settings)).T.to(samples.device)
    spectra = _torchaudio_spectra if engine == "torchaudio" else _torch_spectra
    chunks = [
        (10 * torch.log10((power @ filters).clamp_min(POWER_FLOOR))).float()
        for power in spectra(samples, window, settings)
    ]
    return torch.cat(chunks, dim=1)


def mfcc_batch(bands: torch.Tensor, settings: MfccSettings | None = None) -> torch.Tensor:
    """Compute MFCC of the bands of `log_mel_batch`: float64 [..., n_mfcc]."""
    import torch

    settings = settings or MfccSettings()
    basis = torch.from_numpy(dct_basis(settings.n_mfcc, settings.n_mels)).to(bands.device)
    return bands.double() @ basis.T


def _torch_spectra(
    samples: torch.Tensor, window: torch.Tensor, settings: MfccSettings
) -> Iterator[torch.Tensor]:
    """Power spectra of frames centred on every hop, some rows of all sounds at a time."""
    import torch

    half = settings.n_fft // 2
    padded = torch.nn.functional.pad(samples, (half, settings.n_fft - half))
    n_rows = 1 + samples.shape[1] // settings.hop_length
    frames = padded.unfold(1, settings.n_fft, settings.hop_length)[:, :n_rows]
    step = max(1, FRAMES_PER_CHUNK // max(1, len(samples)))
    for first in range(0, n_rows, step):
        spectrum = torch.fft.rfft(frames[:, first : first + step] * window)
        yield spectrum.real.square() + spectrum.imag.square()


def _torchaudio_spectra(
    samples: torch.Tensor, window: torch.Tensor, settings: MfccSettings
) -> Iterator[torch.Tensor]:
    power = _import_torchaudio().functional.spectrogram(
        samples,
        pad=0,
        window=window,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        win_length=settings.n_fft,
        power=2.0,
        normalized=False,
        center=True,
        pad_mode="constant",
    )
    yield power.transpose(1, 2)


def _over_batches(
    audios: Sequence[AudioStream],
    settings: MfccSettings,
    kind: Kind,
    deltas: int,
    engine: Engine,
    device: str | None,
    report: Callable[[float], None],
) -> list[FeatureStream]:
    import torch

    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    done: dict[int, FeatureStream] = {}
    for numbers in _batches([len(audio.samples) for audio in audios]):
        longest = max(len(audios[number].samples) for number in numbers)
        block = np.zeros((len(numbers), longest), np.float32)
        for line, number in zip(block, numbers, strict=True):
            line[: len(audios[number].samples)] = audios[number].samples
        bands = log_mel_batch(torch.from_numpy(block).to(target), settings, engine=engine)
        rows = bands if kind == "log_mel" else mfcc_batch(bands, settings)
        for number, values in zip(numbers, rows, strict=True):
            n_samples = len(audios[number].samples)
            own = values[: 1 + n_samples // settings.hop_length if n_samples else 0]
            for order in range(1, deltas + 1 if kind == "mfcc" else 1):
                own = torch.cat([own, _delta(own[:, : settings.n_mfcc], order)], dim=1)
            done[number] = _stream(own, audios[number].start_s, settings, kind)
        report(len(done) / len(audios))
    return [done[number] for number in range(len(audios))]


def _delta(values: torch.Tensor, order: int) -> torch.Tensor:
    """Derive, per row, the polynomial of that order fitted to nine rows; ends repeat."""
    import torch

    half = DELTA_FRAMES // 2
    steps = torch.arange(-half, half + 1, dtype=torch.float64)
    powers = torch.linalg.pinv(torch.stack([steps**power for power in range(order + 1)], 1))
    weights = (powers[order] * (1, 1, 2)[order]).to(values.device)
    slopes = values.unfold(0, DELTA_FRAMES, 1) @ weights
    return torch.cat([slopes[:1].expand(half, -1), slopes, slopes[-1:].expand(half, -1)])


def _stream(
    values: torch.Tensor, start_s: float, settings: MfccSettings, kind: Kind
) -> FeatureStream:
    hop_s = settings.hop_length / settings.sample_rate_hz
    times_s = start_s + np.arange(len(values)) * hop_s
    return FeatureStream(
        values.float().cpu().numpy(), times_s, np.ones(len(values), bool), kind
    )


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Put sounds of like length together, so that little is padded."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Lengths grow, so the next sound is the longest of its batch.
        if batch and (len(batch) + 1) * lengths[number] > BATCH_SAMPLES:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _over_processes(
    audios: Sequence[AudioStream],
    settings: MfccSettings,
    kind: Kind,
    deltas: int,
    jobs: int,
    report: Callable[[float], None],
) -> list[FeatureStream]:
    compute = partial(_reference, settings=settings, kind=kind, deltas=deltas)
    done: dict[int, FeatureStream] = {}
    for number, outcome in for_each(
        compute, audios, jobs=jobs, caller="features_in_bulk", name=lambda audio: "a sound"
    ):
        if isinstance(outcome, Exception):
            raise outcome
        done[number] = outcome
        report(len(done) / len(audios))
    return [done[number] for number in range(len(audios))]


def _reference(
    audio: AudioStream, *, settings: MfccSettings, kind: Kind, deltas: int
) -> FeatureStream:
    if kind == "log_mel":
        return log_mel(audio, settings)
    return mfcc(audio, settings, deltas=deltas)


def _choose(engine: Engine, device: str | None) -> Engine:
    if engine == "processes":
        return engine
    if engine == "torchaudio":
        _import_torchaudio()
        return engine
    try:
        import torch
    except (ImportError, OSError) as error:
        if engine == "torch" or device is not None:
            raise MissingDependencyError(
                f"features on a device need torch, which does not load: {error}",
                "pip install 'avalign[torch]', or engine='processes'",
            ) from error
        return "processes"
    if engine == "torch":
        return engine
    if device is None and not torch.cuda.is_available():
        return "processes"
    try:
        _import_torchaudio()
    except MissingDependencyError:
        return "torch"
    return "torchaudio"


def _import_torchaudio() -> Any:
    with import_guard("torchaudio does not load", "choose engine='torch', which equals it"):
        import torchaudio
    return torchaudio


def _check_options(kind: str, deltas: int, engine: str, jobs: int | None) -> None:
    if kind not in ("mfcc", "log_mel"):
        raise ParameterError(f"kind is {kind!r}", "choose 'mfcc' or 'log_mel'")
    if deltas not in (0, 1, 2):
        raise ParameterError(f"deltas is {deltas!r}", "choose 0, 1 or 2")
    if engine not in ("auto", "torch", "torchaudio", "processes"):
        raise ParameterError(
            f"engine is {engine!r}", "choose 'auto', 'torch', 'torchaudio' or 'processes'"
        )
    if jobs is not None and jobs < 1:
        raise ParameterError(f"jobs is {jobs}", "name at least one, or leave it out")


def _check_audio(number: int, audio: AudioStream, settings: MfccSettings, deltas: int) -> None:
    rate_hz = settings.sample_rate_hz
    if audio.sample_rate_hz != rate_hz:
        raise ParameterError(
            f"sound {number} has {audio.sample_rate_hz} samples per second, not {rate_hz}",
            f"read it at {rate_hz} Hz",
        )
    if audio.samples.ndim != 1:
        raise ParameterError(
            f"the samples of sound {number} have shape {audio.samples.shape}",
            "mix the sound down to one channel",
        )
    if not np.isfinite(audio.samples).all():
        raise ParameterError(
            f"sound {number} is not a number at sample "
            f"{int(np.argmin(np.isfinite(audio.samples)))}",
            "replace such samples by zeros",
        )
    n_rows = 1 + len(audio.samples) // settings.hop_length if len(audio.samples) else 0
    if deltas and n_rows < DELTA_FRAMES:
        raise ParameterError(
            f"deltas need {DELTA_FRAMES} rows; sound {number} gives {n_rows}",
            "pass a longer sound or deltas=0",
        )
