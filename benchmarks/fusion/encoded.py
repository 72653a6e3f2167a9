"""Rows as frozen encoders give them, kept on disk: of training clips, and of every scene."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from avalign.errors import ParameterError
from avalign.files import atomic_output
from avalign.fusion import AlignedBatch, collate
from avalign.recognition import (
    CLEAN,
    Batch,
    BatchSource,
    Recognizer,
    UtteranceAugmentation,
    aligned_sequence,
    compute_audio_features,
)
from avalign.types import FeatureStream
from benchmarks.fusion.aligners import Alignments
from benchmarks.fusion.material import Material, TestClip, moved
from benchmarks.fusion.plan import Plan, Scene

__all__ = ["STREAMS", "EncodedScene", "TrainingRows", "encode_scenes", "encode_training"]

STREAMS = ("audio", "lips")
_BATCH = 20
_TRAINING = "training"


@dataclass(frozen=True, slots=True, eq=False)
class EncodedScene:
    """All test clips in one scene.

    Parameters
    ----------
    rows : dict of str to Tensor of shape (N, T, D), float32
        Encoded rows by stream.
    masks : dict of str to Tensor of shape (N, T), bool
        Which of them count.
    lengths : ndarray of shape (N,), int64
        Rows of each clip on the fine clock.
    """

    rows: dict[str, Tensor]
    masks: dict[str, Tensor]
    lengths: NDArray[np.int64]

    @classmethod
    def load(cls, folder: Path, scene: Scene) -> EncodedScene:
        """Read a scene.

        Parameters
        ----------
        folder : Path
            Where `encode_scenes` put it.
        scene : Scene
            Which one.

        Returns
        -------
        EncodedScene
            Its rows.
        """
        with np.load(_scene_path(folder, scene), allow_pickle=False) as arrays:
            rows = {name: torch.from_numpy(arrays[name]).float() for name in STREAMS}
            masks = {name: torch.from_numpy(arrays[f"{name}_mask"]) for name in STREAMS}
            return cls(rows, masks, arrays["lengths"])


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """All versions of all training clips, on disk.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Rows (N, T, D) and masks (N, T) by stream, words by row, lengths, characters.
    """

    arrays: dict[str, NDArray[np.generic]]

    @classmethod
    def load(cls, folder: Path) -> TrainingRows:
        """Open the rows; they stay on disk.

        Parameters
        ----------
        folder : Path
            Where `encode_training` put them.

        Returns
        -------
        TrainingRows
            The rows.
        """
        paths = sorted((folder / _TRAINING).glob("*.npy"))
        return cls({path.stem: np.load(path, mmap_mode="r") for path in paths})

    def __len__(self) -> int:
        return len(self.arrays["lengths"])

    def batch(self, chosen: NDArray[np.intp], stride: int) -> Batch:
        """Read some items.

        Parameters
        ----------
        chosen : ndarray of int
            Which.
        stride : int
            Fine rows for each encoded one.

        Returns
        -------
        Batch
            Encoded rows as inputs, and the targets on the fine clock.
        """

        def take(name: str) -> Tensor:
            return torch.from_numpy(np.array(self.arrays[name][chosen]))

        lengths = take("lengths")
        coarse = -(-int(lengths.max()) // stride)
        masks = {name: take(f"{name}_mask")[:, :coarse] for name in STREAMS}
        token_lengths = take("token_lengths")
        words = take("words")[:, : coarse * stride].long()
        return Batch(
            ("",) * len(chosen),
            AlignedBatch(
                {name: take(name)[:, :coarse].float() for name in STREAMS},
                masks,
                {name: mask.any(dim=1) for name, mask in masks.items()},
                lengths,
            ),
            take("tokens").long()[:, : int(token_lengths.max())],
            token_lengths,
            words,
            torch.full((len(chosen),), -1),
            torch.full((len(chosen), 0), float("nan")),
            {
                "speech": int((token_lengths > 0).sum()),
                "words": int((words >= 0).any(dim=1).sum()),
                "items": len(chosen),
            },
        )


def encode_training(
    model: Recognizer,
    material: Material,
    plan: Plan,
    folder: Path,
    progress: Callable[[int, int], None],
) -> None:
    """Encode disturbed versions of the training clips, unless that is done.

    The encoders drop values as they did in their own training: of the clips they have
    learnt they would otherwise tell far more than of others, and fusions would learn to
    trust them too far.

    Parameters
    ----------
    model : Recognizer
        Whose encoders.
    material : Material
        The clips.
    plan : Plan
        How many versions.
    folder : Path
        Where to.
    progress : callable
        Called with how many batches are done, and of how many.
    """
    final = folder / _TRAINING
    if final.exists():
        return
    partial = folder / f"{_TRAINING}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    disturbed = UtteranceAugmentation(easing=0.0, absent={})
    stride = model.settings.stride
    slowest = 1.0 - disturbed.speed
    longest = max(one.rows for one in material.train)
    coarse = -(-int(np.ceil(longest / slowest) + 2) // stride)
    count, width = len(material.train), 2 * model.settings.width
    total = count * plan.versions
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "words": ((total, coarse * stride), np.int16),
        "lengths": ((total,), np.int64),
        "tokens": ((total, max(len(one.tokens) for one in material.train)), np.int16),
        "token_lengths": ((total,), np.int64),
    }
    for name in STREAMS:
        shapes[name] = (total, coarse, width), np.float16
        shapes[f"{name}_mask"] = (total, coarse), np.bool_
    arrays = {
        name: open_memmap(  # type: ignore[no-untyped-call]
            partial / f"{name}.npy", mode="w+", dtype=dtype, shape=shape
        )
        for name, (shape, dtype) in shapes.items()
    }
    arrays["words"][:] = -1
    model.train()
    torch.manual_seed(plan.seed)
    for version in range(plan.versions):
        source = BatchSource(
            material.train,
            model.settings,
            disturbed if version else CLEAN,
            material.noises,
            batch_size=_BATCH,
            seed=plan.seed,
        )
        for number, indices in enumerate(source.order(version)):
            batch = source.batch(version, number)
            places = np.array(indices) + version * count
            rows, masks = _encode(model, batch.inputs)
            for name in STREAMS:
                values = rows[name].half().numpy()
                arrays[name][places, : values.shape[1]] = values
                arrays[f"{name}_mask"][places, : values.shape[1]] = masks[name].numpy()
            arrays["words"][places, : batch.words.shape[1]] = batch.words.numpy()
            arrays["lengths"][places] = batch.inputs.lengths.numpy()
            arrays["tokens"][places, : batch.tokens.shape[1]] = batch.tokens.numpy()
            arrays["token_lengths"][places] = batch.token_lengths.numpy()
            done = version * len(source) + number + 1
            progress(done, plan.versions * len(source))
    model.eval()
    for array in arrays.values():
        array.flush()
    partial.rename(final)


def encode_scenes(
    model: Recognizer,
    clips: Sequence[TestClip],
    scenes: Sequence[Scene],
    alignments: Alignments,
    folder: Path,
    progress: Callable[[int, int], None],
) -> None:
    """Encode the test clips in every scene that is not done.

    The sound is brought back by its alignment first: encoders hear it on the picture's
    clock.

    Parameters
    ----------
    model : Recognizer
        Whose encoders.
    clips : sequence of TestClip
        The clips.
    scenes : sequence of Scene
        The scenes.
    alignments : dict
        As of `align_scenes`.
    folder : Path
        Where to.
    progress : callable
        Called with how many scenes are done, and of how many.
    """
    wanted = {scene.rows_key: scene for scene in scenes}
    heard: dict[float | None, list[dict[str, FeatureStream]]] = {}
    model.eval()
    for number, (key, scene) in enumerate(wanted.items(), start=1):
        path = _scene_path(folder, scene)
        if not path.exists():
            if scene.snr_db not in heard:
                sounds = [clip.sound_at(scene.snr_db) for clip in clips]
                heard[scene.snr_db] = compute_audio_features(sounds, model.settings.streams)
            warps = [alignments[clip.utterance.name][key] for clip in clips]
            sequences = [
                aligned_sequence(
                    replace(clip.utterance, alignment=warp),
                    model.settings.streams,
                    model.settings.rate_hz,
                    audio_streams={
                        name: moved(stream, clip.planted(scene.misalignment))
                        for name, stream in features.items()
                    },
                )
                for clip, features, warp in zip(clips, heard[scene.snr_db], warps, strict=True)
            ]
            columns = {name: one.columns for name, one in model.settings.streams.items()}
            inputs = (
                collate(sequences[first : first + _BATCH], dims=columns)
                for first in range(0, len(sequences), _BATCH)
            )
            _write_scene(model, inputs, path)
        progress(number, len(wanted))


def _write_scene(model: Recognizer, inputs: Iterator[AlignedBatch], path: Path) -> None:
    found: dict[str, list[NDArray[np.generic]]] = {}
    for one in inputs:
        rows, masks = _encode(model, one)
        found.setdefault("lengths", []).append(one.lengths.numpy())
        for name in STREAMS:
            found.setdefault(name, []).append(rows[name].half().numpy())
            found.setdefault(f"{name}_mask", []).append(masks[name].numpy())
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path, True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{name: _joined(parts) for name, parts in found.items()})


def _joined(parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
    """Join batches, the rows of all padded to one number."""
    if parts[0].ndim == 1:
        return np.concatenate(parts)
    longest = max(part.shape[1] for part in parts)
    padded = [
        np.pad(part, [(0, 0), (0, longest - part.shape[1]), *[(0, 0)] * (part.ndim - 2)])
        for part in parts
    ]
    return np.concatenate(padded)


@torch.no_grad()
def _encode(
    model: Recognizer, inputs: AlignedBatch
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Catch what the encoders hand to the model's own fusion."""
    caught: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
    hook = model.fusion.register_forward_pre_hook(lambda _, given: caught.append(given[:2]))
    try:
        model(inputs.streams, inputs.masks, inputs.present)
    finally:
        hook.remove()
    return caught[0]


def check_streams(model: Recognizer) -> None:
    """Refuse encoders that the ablation cannot use.

    Parameters
    ----------
    model : Recognizer
        The model.

    Raises
    ------
    ParameterError
        If it does not read sound and lips, or does not write.
    """
    if tuple(sorted(model.settings.streams)) != STREAMS or not model.settings.characters:
        raise ParameterError(
            f"the encoders read {', '.join(sorted(model.settings.streams))}",
            "name a folder that avalign train speech wrote, with audio and lips",
        )


def _scene_path(folder: Path, scene: Scene) -> Path:
    return folder / "scenes" / (scene.rows_key.replace("/", "_") + ".npz")
