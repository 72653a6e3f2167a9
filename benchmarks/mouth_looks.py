"""What hides a mouth, painted over people who show theirs.

A look keeps its colours and sizes over a clip and moves with the head. Some are learnt
from, others held out for the report; two end below the lips and hide nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avalign.vision import LIPS, MESH_POINTS, RIGID, to_layout

__all__ = ["HELD_OUT", "IN_VIEW", "LEARNT", "paint"]

Picture = NDArray[np.float32]
Plane = NDArray[np.float32]

_ROW = {number: row for row, number in enumerate(MESH_POINTS)}
_NOSE_BRIDGE, _NOSE_TIP, _BROWS, _EAR = (_ROW[number] for number in (5, 1, 168, 234))
_EYES = [_ROW[33], _ROW[263]]
_JAW_NUMBERS = (
    *(323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93),
)
_JAW = [_ROW[number] for number in _JAW_NUMBERS]
# How far from the lips anything is painted, in outer eye distances.
_REACH = 2.2


@dataclass(frozen=True, slots=True)
class _Scene:
    """A piece of a picture around the lips; lengths are in outer eye distances."""

    piece: Picture
    mesh: NDArray[np.float32]
    centre: NDArray[np.float32]
    unit: float
    right: NDArray[np.float32]
    time_s: float
    chance: NDArray[np.float64]  # the clip's own, 0 to 1

    @property
    def down(self) -> NDArray[np.float32]:
        return np.array([-self.right[1], self.right[0]], np.float32)

    def pick(self, number: int, colours: list[tuple[int, int, int]]) -> NDArray[np.float32]:
        return np.array(colours[int(self.chance[number] * len(colours))], np.float32)

    def plane(self, origin: NDArray[np.float32] | None = None) -> tuple[Plane, Plane]:
        """Where each pixel lies, to the right and down from the lips, along the head."""
        height, width = self.piece.shape[:2]
        down, right = np.mgrid[0:height, 0:width].astype(np.float32)
        x, y = self.centre if origin is None else origin
        across, along = right - x, down - y
        return (
            (across * self.right[0] + along * self.right[1]) / self.unit,
            (across * self.down[0] + along * self.down[1]) / self.unit,
        )

    def at(self, right: float, down: float) -> NDArray[np.float32]:
        return self.centre + self.unit * (right * self.right + down * self.down)

    def swaying(self, size: float) -> NDArray[np.float32]:
        """Return a step that wanders with time, as hands do."""
        phase = 6 * self.chance[14:]
        waves = np.sin(np.array([2.0, 1.6]) * self.time_s + phase)
        return (size * self.unit * waves).astype(np.float32)

    def ellipse(
        self, origin: NDArray[np.float32], width: float, height: float, turn: float, soft: float
    ) -> Plane:
        cover = np.zeros(self.piece.shape[:2], np.float32)
        axes = (2 * width * self.unit, 2 * height * self.unit)
        angle = float(np.degrees(np.arctan2(self.right[1], self.right[0]) + turn))
        cv2.ellipse(
            cover, ((float(origin[0]), float(origin[1])), axes, angle), 1.0, -1, cv2.LINE_AA
        )
        return self.softened(cover, soft)

    def polygon(self, points: NDArray[np.float32], soft: float) -> Plane:
        cover = np.zeros(self.piece.shape[:2], np.float32)
        cv2.fillPoly(cover, [np.round(points).astype(np.int32)], 1.0, cv2.LINE_AA)
        return self.softened(cover, soft)

    def softened(self, cover: Plane, soft: float) -> Plane:
        return cv2.GaussianBlur(cover, (0, 0), max(0.6, soft * self.unit))

    def under(self, cover: Plane, paint: NDArray[np.float32]) -> Picture:
        mixed: Picture = self.piece + (paint - self.piece) * cover[..., None]
        return mixed

    def mask(self, top: float) -> NDArray[np.float32]:
        """Outline of a mask: from the nose, higher up by `top`, along the jaw."""
        nose = self.mesh[_NOSE_BRIDGE] * (1 - top) + self.mesh[_BROWS] * top
        jaw = self.centre + (self.mesh[_JAW] - self.centre) * 1.03
        return np.concatenate([nose[None], jaw])


def paint(
    look: str,
    image: NDArray[np.uint8],
    landmarks: NDArray[np.float32],
    *,
    time_s: float,
    clip: str,
) -> NDArray[np.uint8]:
    """Paint a look over a picture.

    Parameters
    ----------
    look : str
        A name of `LEARNT`, `HELD_OUT` or `IN_VIEW`.
    image : ndarray of shape (H, W, 3), uint8
        The picture, RGB.
    landmarks : ndarray of shape (P, 3), float32
        Its mesh, as `FaceMesh.fit` returns it.
    time_s : float
        When the picture is shown.
    clip : str
        Name of the clip; fixes colours and sizes.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        A painted copy.
    """
    mesh = landmarks[:, :2].copy()
    unit = float(to_layout(landmarks[None, RIGID], landmarks[None, LIPS])[1][0])
    eyes = mesh[_EYES[1]] - mesh[_EYES[0]]
    reach = _REACH * unit
    lips = mesh[LIPS].mean(axis=0)
    left, top = np.maximum(lips - reach, 0).astype(int)
    right, bottom = np.maximum(lips + reach, 0).astype(int)
    piece = image[top:bottom, left:right]
    if min(piece.shape[:2]) < 4:
        return image
    mesh -= (left, top)
    scene = _Scene(
        piece.astype(np.float32),
        mesh,
        lips - np.array([left, top], np.float32),
        unit,
        (eyes / np.linalg.norm(eyes)).astype(np.float32),
        time_s,
        np.random.default_rng(zlib.crc32(f"{look} {clip}".encode())).uniform(size=16),
    )
    painted = image.copy()
    painted[top:bottom, left:right] = np.clip(_LOOKS[look](scene), 0, 255)
    return painted


def _mask(scene: _Scene) -> Picture:
    """Paint a plain mask, shaded to the sides."""
    chance = scene.chance
    colours = [(150, 190, 225), (235, 235, 235), (25, 25, 28), (170, 30, 40), (60, 90, 60)]
    across, along = scene.plane()
    light = (0.85 + 0.3 * chance[1]) * (1 - 0.35 * np.abs(across) * chance[3] + 0.1 * along)
    cover = scene.polygon(scene.mask(0.1 + 0.4 * chance[2]), 0.02)
    return scene.under(cover, scene.pick(0, colours) * light[..., None])


def _cloth(scene: _Scene) -> Picture:
    """Paint a mask of patterned and wrinkled cloth."""
    chance = scene.chance
    colours = [(150, 190, 225), (225, 225, 225), (45, 45, 50), (150, 60, 70), (200, 170, 190)]
    across, along = scene.plane()
    wrinkles = np.random.default_rng(int(1e6 * chance[8])).normal(size=(24, 24))
    column, row = (np.clip((x / 2.4 + 0.5) * 23, 0, 23) for x in (across, along))
    wrinkled = cv2.remap(wrinkles.astype(np.float32), column, row, cv2.INTER_LINEAR)
    turn = 3 * chance[6]
    stripes = np.sin(
        (across * np.cos(turn) + along * np.sin(turn)) * 2 * np.pi * (1 + 5 * chance[7])
    )
    light = (1 + 0.25 * chance[4] * wrinkled) * (1 + 0.15 * chance[5] * stripes)
    cover = scene.polygon(scene.mask(0.1 + 0.4 * chance[2]), 0.02)
    return scene.under(cover, scene.pick(0, colours) * light[..., None])


def _pattern(scene: _Scene) -> Picture:
    """Paint a mask of two colours in stripes or checks, turned anyhow."""
    chance = scene.chance
    across, along = scene.plane()
    turn = np.pi * chance[0]
    per_unit = 2 * np.pi * (1 + 8 * chance[1] ** 2)
    waves = np.sin(per_unit * (across * np.cos(turn) + along * np.sin(turn)))
    if chance[2] > 0.5:
        waves *= np.sin(per_unit * (along * np.cos(turn) - across * np.sin(turn)))
    one, other = 255 * chance[3:6], 255 * chance[6:9]
    mixed = np.clip(0.5 + waves * (1 + 4 * chance[9]), 0, 1)[..., None]
    light = (1 - 0.35 * np.abs(across) * chance[10])[..., None]
    paint = (one * mixed + other * (1 - mixed)) * light
    cover = scene.polygon(scene.mask(0.1 + 0.4 * chance[11]), 0.02)
    return scene.under(cover, paint.astype(np.float32))


def _bands(scene: _Scene) -> Picture:
    """Paint a cloth with bands that follow the face, as lips do, up to the nose or below it."""
    chance = scene.chance
    across, along = scene.plane()
    bend = 1.2 * (chance[0] - 0.5) * across**2 + 0.6 * (chance[1] - 0.5) * across
    place = (along + bend) * (1 + 5 * chance[2]) + chance[3]
    waves = np.sin(2 * np.pi * place) + 2 * (chance[4] - 0.5)
    mixed = np.clip(0.5 + waves * (0.5 + 8 * chance[5]), 0, 1)[..., None]
    one, other = 255 * chance[6:9], 255 * chance[9:12]
    light = (1 - 0.35 * np.abs(across) * chance[12])[..., None]
    outline = scene.mask(0.5 * chance[13] - 0.15)
    outline[1:] += 0.3 * chance[14] * scene.unit * scene.down
    paint = (one * mixed + other * (1 - mixed)) * light
    return scene.under(scene.polygon(outline, 0.02), paint.astype(np.float32))


def _blur(scene: _Scene) -> Picture:
    chance = scene.chance
    blurred = cv2.GaussianBlur(scene.piece, (0, 0), (0.12 + 0.24 * chance[3]) * scene.unit)
    cover = scene.ellipse(
        scene.centre, 0.45 + 0.3 * chance[0], 0.38 + 0.3 * chance[1], 0, 0.02 + 0.1 * chance[2]
    )
    return scene.under(cover, blurred)


def _squares(scene: _Scene, side: float) -> Picture:
    """Return the picture in squares of one colour."""
    height, width = scene.piece.shape[:2]
    few = (max(1, int(width / (side * scene.unit))), max(1, int(height / (side * scene.unit))))
    small = cv2.resize(scene.piece, few, interpolation=cv2.INTER_AREA)
    large: Picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return large


def _pixels(scene: _Scene) -> Picture:
    """Paint squares in a rectangle."""
    chance = scene.chance
    across, along = scene.plane()
    inside = (np.abs(across) < 0.5 + 0.2 * chance[1]) & (np.abs(along) < 0.42 + 0.2 * chance[2])
    return scene.under(inside.astype(np.float32), _squares(scene, 0.18 + 0.3 * chance[0]))


def _hand(scene: _Scene) -> Picture:
    """Paint four fingers of the colour of the cheek."""
    chance, unit = scene.chance, scene.unit
    cheek = 0.35 * scene.mesh[_EAR] + 0.65 * scene.mesh[_NOSE_TIP]
    column, row = np.clip(cheek.astype(int), 0, np.array(scene.piece.shape[1::-1]) - 1)
    skin = cv2.GaussianBlur(scene.piece, (0, 0), max(1, 0.08 * unit))[row, column]
    origin = scene.at(0.15 * (chance[3] - 0.5), 0.12 * (chance[4] - 0.4)) + scene.swaying(0.06)
    angle = np.arctan2(scene.right[1], scene.right[0]) + np.pi * (chance[5] - 0.5) * 0.9
    along = np.array([np.cos(angle), np.sin(angle)])
    beside = np.array([-along[1], along[0]])
    width = (0.2 + 0.06 * chance[6]) * unit
    cover, light = (np.full(scene.piece.shape[:2], x, np.float32) for x in (0, 1))
    for finger in range(4):
        length = (0.55 + 0.12 * np.sin(1.7 * finger + 6 * chance[7])) * unit
        middle = origin + beside * (finger - 1.5) * width
        _line(cover, middle - along * length, middle + along * length * 1.6, width, 1)
        if finger:
            gap, dark = middle - beside * width / 2, 0.55 + 0.25 * chance[8]
            _line(light, gap - along * length, gap + along * length * 1.6, 0.03 * unit, dark)
    light = scene.softened(light, 0.025)
    colour = skin * (0.75 + 0.45 * chance[0]) * light[..., None]
    return scene.under(scene.softened(cover, 0.015), colour)


def _line(
    plane: Plane,
    begin: NDArray[Any],
    end: NDArray[Any],
    width: float,
    value: float,
) -> None:
    first, last = (tuple(int(x) for x in point) for point in (begin, end))
    cv2.line(plane, first, last, value, max(1, round(width)), cv2.LINE_AA)


def _microphone(scene: _Scene) -> Picture:
    """Paint a ball of foam before the lips, on a handle."""
    chance = scene.chance
    colours = [(15, 15, 17), (60, 60, 62), (85, 85, 85), (150, 30, 30), (30, 50, 140)]
    colour = scene.pick(0, colours)
    origin = scene.at(0.12 * (chance[1] - 0.5), 0.08 + 0.15 * (chance[2] - 0.5))
    origin = origin + scene.swaying(0.03)
    handle = np.zeros(scene.piece.shape[:2], np.float32)
    below = origin + 3 * scene.unit * (scene.down + 0.6 * (chance[10] - 0.5) * scene.right)
    _line(handle, origin, below, 0.3 * scene.unit, 1)
    size = 0.42 + 0.25 * chance[3]
    ball = scene.ellipse(origin, size, size * (0.9 + 0.5 * chance[4]), 3 * chance[5], 0.012)
    across, along = scene.plane(origin)
    shine = 60 * chance[6] * np.exp(-((across + 0.15) ** 2 + (along + 0.2) ** 2) / 0.05)
    grain = np.random.default_rng(int(1e6 * chance[7])).normal(size=(64, 64))
    grain = cv2.resize(grain.astype(np.float32), scene.piece.shape[1::-1])
    paint = colour + shine[..., None] + 12 * chance[8] * grain[..., None]
    handled = scene.under(handle, 0.8 * colour)
    mixed: Picture = handled + (paint - handled) * ball[..., None]
    return mixed


def _bar(scene: _Scene) -> Picture:
    """Paint a censor's bar."""
    chance = scene.chance
    across, along = scene.plane()
    inside = (np.abs(across) < 0.45 + 0.6 * chance[0]) & (
        np.abs(along) < 0.28 + 0.25 * chance[1]
    )
    colours = [(0, 0, 0), (255, 255, 255), (120, 120, 120), (230, 200, 60)]
    return scene.under(inside.astype(np.float32), scene.pick(2, colours))


def _surgical(scene: _Scene) -> Picture:
    """Paint a mask with pleats, a white seam and loops, in the light of the scene."""
    colours = [(140, 200, 215), (170, 205, 235), (120, 190, 170)]
    across, along = scene.plane()
    outline = scene.mask(0.25)
    seam = scene.polygon(outline, 0) - scene.polygon(
        scene.centre + (outline - scene.centre) * 0.94, 0
    )
    pleats = 1 - 0.18 * (np.abs((along * 4.2 + 0.3) % 1 - 0.5) < 0.1) - 0.25 * np.abs(across)
    light = cv2.GaussianBlur(scene.piece, (0, 0), 0.5 * scene.unit).mean(axis=2) / 140
    light = np.clip(light, 0.4, 1.3)[..., None]
    paint = scene.pick(0, colours) * pleats[..., None]
    paint = (paint + (235 - paint) * seam[..., None]) * light
    return scene.under(scene.polygon(outline, 0.015), paint)


def _box_blur(scene: _Scene) -> Picture:
    """Paint a blurred rectangle with soft edges."""
    side = max(3, int((0.45 + 0.3 * scene.chance[0]) * scene.unit))
    across, along = scene.plane(scene.at(0, 0.05))
    inside = ((np.abs(across) < 0.62) & (np.abs(along) < 0.5)).astype(np.float32)
    return scene.under(scene.softened(inside, 0.06), cv2.blur(scene.piece, (side, side)))


def _skin(scene: _Scene) -> Picture:
    """Copy the forehead over the lips, with the grain and light of skin, like a palm."""
    chance = scene.chance
    across, along = scene.plane()
    forehead = scene.mesh[_BROWS] - 0.45 * scene.unit * scene.down
    column, row = (
        (
            forehead[axis]
            + scene.unit * (0.75 * across * scene.right[axis] + 0.35 * along * scene.down[axis])
        ).astype(np.float32)
        for axis in (0, 1)
    )
    copied = cv2.remap(
        scene.piece, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    cover = scene.ellipse(
        scene.centre + scene.swaying(0.05),
        0.5 + 0.15 * chance[0],
        0.4 + 0.12 * chance[1],
        3 * chance[2],
        0.03,
    )
    return scene.under(cover, copied * np.float32(0.9 + 0.2 * chance[3]))


def _grille(scene: _Scene) -> Picture:
    """Paint the wire ball of a microphone."""
    across, along = scene.plane(scene.at(0, 0.1))
    squared = (across / 0.5) ** 2 + (along / 0.62) ** 2
    wires = 40 + 50 * ((np.floor(across * 18) + np.floor(along * 18)) % 2)
    round_light = np.sqrt(np.clip(1 - squared, 0, 1)) * (0.5 + scene.chance[0])
    cover = np.clip((1 - squared) * 12, 0, 1).astype(np.float32)
    return scene.under(cover, (wires * round_light)[..., None])


def _mosaic(scene: _Scene) -> Picture:
    """Paint squares in an ellipse."""
    cover = scene.ellipse(scene.centre, 0.65, 0.5, 0, 0)
    return scene.under(cover, _squares(scene, 0.26))


def _scarf(scene: _Scene) -> Picture:
    """Paint a striped scarf up to the nose."""
    chance = scene.chance
    outline = scene.mask(-0.15)
    outline[1:] += 0.3 * scene.unit * scene.down
    across, along = scene.plane()
    striped = (np.floor((along + 0.3 * across**2) * (5 + 4 * chance[0])) % 2)[..., None]
    dark = np.array([160, 40, 50]) * (0.5 + chance[1])
    paint = (dark * striped + np.array([220, 215, 200]) * (1 - striped)).astype(np.float32)
    shade = (1 - 0.2 * np.abs(across))[..., None]
    return scene.under(scene.polygon(outline, 0.015), paint * shade)


def _knit(scene: _Scene) -> Picture:
    """Paint a cloth of blotches in two colours, with a weave, up to the nose."""
    chance = scene.chance
    across, along = scene.plane()
    blotches = np.zeros(across.shape, np.float32)
    random = np.random.default_rng(int(1e6 * chance[0]))
    for size in (4, 8, 16, 32):
        noise = random.normal(size=(size, size)).astype(np.float32) / np.sqrt(size)
        column, row = (
            np.clip((x / 2.4 + 0.5) * (size - 1), 0, size - 1) for x in (across, along)
        )
        blotches += cv2.remap(noise, column, row, cv2.INTER_LINEAR)
    mixed = np.clip(0.5 + 2 * blotches, 0, 1)[..., None]
    weave = 1 + 0.2 * np.sign(np.sin(across * 60) * np.sin(along * 60))
    one, other = np.array([70, 90, 70]) * (0.5 + chance[1]), np.array([190, 170, 130])
    paint = (one * mixed + other * (1 - mixed)) * (weave - 0.2 * np.abs(across))[..., None]
    return scene.under(scene.polygon(scene.mask(-0.1), 0.015), paint.astype(np.float32))


def _lowest_lip(scene: _Scene) -> float:
    lips = (scene.mesh[LIPS] - scene.centre) @ scene.down
    return float(lips.max()) / scene.unit


def _chin_mask(scene: _Scene) -> Picture:
    """Paint a mask pulled down to the chin."""
    colours = [(150, 190, 225), (235, 235, 235), (25, 25, 28)]
    edge = (_lowest_lip(scene) + 0.1) * scene.unit
    jaw = scene.centre + (scene.mesh[_JAW] - scene.centre) * 1.05
    depth = (jaw - scene.centre) @ scene.down
    jaw += np.maximum(0, edge - depth)[:, None] * scene.down
    return scene.under(scene.polygon(jaw, 0.02), scene.pick(0, colours))


def _chin_microphone(scene: _Scene) -> Picture:
    """Paint a microphone held below the lips."""
    chance = scene.chance
    size = 0.25 + 0.2 * chance[0]
    origin = scene.at(0.5 * (chance[1] - 0.5), _lowest_lip(scene) + 0.06 + size)
    colour = np.full(3, 20 + 60 * chance[2], np.float32)
    return scene.under(scene.ellipse(origin, size, size, 0, 0.012), colour)


LEARNT = ("mask", "cloth", "pattern", "bands", "blur", "pixels", "hand", "microphone", "bar")
HELD_OUT = ("surgical mask", "scarf", "knit", "box blur", "mosaic", "skin", "grille")
IN_VIEW = ("mask on the chin", "microphone below")
_LOOKS: dict[str, Callable[[_Scene], Picture]] = {
    "mask": _mask,
    "cloth": _cloth,
    "pattern": _pattern,
    "bands": _bands,
    "blur": _blur,
    "pixels": _pixels,
    "hand": _hand,
    "microphone": _microphone,
    "bar": _bar,
    "surgical mask": _surgical,
    "scarf": _scarf,
    "knit": _knit,
    "box blur": _box_blur,
    "mosaic": _mosaic,
    "skin": _skin,
    "grille": _grille,
    "mask on the chin": _chin_mask,
    "microphone below": _chin_microphone,
}
