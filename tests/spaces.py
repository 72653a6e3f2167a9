"""Data whose shared space is known, and every estimator fitted to them."""

from functools import cache

import numpy as np
import torch

from avalign.space import EncoderSettings, SpaceSettings, build_space

CLIPS, LENGTH = 8, 60


def planted(seed=0, clips=CLIPS, length=LENGTH, noise=0.1):
    """Two smooth latents that move six columns of sound and five of lips, clip by clip.

    The last column of each side is its own affair.
    """
    world = np.random.default_rng(77)
    to_audio, to_lips = world.normal(size=(2, 5)), world.normal(size=(2, 4))
    random = np.random.default_rng(seed)
    count = clips * length
    white = random.normal(size=(clips, length + 8, 2))
    smooth = np.stack(
        [[np.convolve(c, np.ones(5) / 5**0.5, "same") for c in clip.T] for clip in white]
    )
    latent = smooth[:, :, 4 : 4 + length].transpose(0, 2, 1).reshape(count, 2)
    audio = np.concatenate([latent @ to_audio, 3 * random.normal(size=(count, 1))], 1)
    lips = np.concatenate([latent @ to_lips, random.normal(size=(count, 1))], 1)
    audio += noise * random.normal(size=audio.shape)
    lips += noise * random.normal(size=lips.shape)
    # In units that nobody would choose.
    return 40 * audio - 7, 0.03 * lips + 2, np.repeat(np.arange(clips), length)


QUICK = {
    "joint": {"steps": 150, "components": 8},
    "coordinated": {"steps": 150, "components": 3},
    "cca": {},
    "kernel_cca": {"features": 200},
    "deep_cca": {"steps": 60},
    "autoencoder": {"steps": 150, "components": 4},
    "vae": {"steps": 150, "components": 4},
    "contrastive": {
        "steps": 50,
        "window": 20,
        "reach": 5,
        "batch": 16,
        "learning_rate": 1e-2,
        "settings": SpaceSettings(
            lip_components=4,
            channels=12,
            dimensions=6,
            audio_rate_hz=50.0,
            audio=EncoderSettings((3, 3), (1, 1)),
            lips=EncoderSettings((3, 3), (1, 1)),
        ),
    },
    "ranking": {"steps": 150, "components": 8},
    "masked": {"steps": 80, "window": 20, "components": 24, "kernels": (3, 3)},
    "shared_private": {
        "steps": 150,
        "components": 2,
        "private_components": 2,
        "learning_rate": 1e-2,
    },
}


@cache
def fitted(name):
    """One of the estimators, fitted to `planted()` once."""
    torch.set_num_threads(1)
    audio, lips, groups = planted()
    return build_space(name, **QUICK[name]).fit(audio, lips, groups)
