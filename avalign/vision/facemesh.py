"""The one importer of MediaPipe: face detectors and the face mesh, in pixels.

MediaPipe's ready-made ``FaceMesh`` solution finds a face with a detector that
misses small faces, and keeps its own idea of where the face is from picture to
picture. Here the same landmark model is wired into a graph that takes the
region from the caller. It has no memory, so a picture always gives the same
landmarks, several faces cost one run each, and the tracking is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import MissingDependencyError
from avalign.vision.native_logs import quiet_native_logs

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = [
    "CHIN",
    "LIPS",
    "MESH_POINTS",
    "OVAL",
    "RIGID",
    "Detection",
    "FaceDetector",
    "FaceMesh",
    "Region",
]

# Numbers of MediaPipe's face mesh, each ring in order around the lips.
LIPS_OUTER = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
LIPS_INNER = (
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
_CHIN_NUMBER = 152
# Eye corners (outer, inner of each eye) and the ridge and tip of the nose.
_RIGID_NUMBERS = (33, 133, 362, 263, 168, 6, 1, 4, 5, 195, 197)
_OVAL_NUMBERS = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)

# Reading 478 points out of the message would cost a sixth of the whole run.
MESH_POINTS = tuple(
    dict.fromkeys((*LIPS_OUTER, *LIPS_INNER, _CHIN_NUMBER, *_RIGID_NUMBERS, *_OVAL_NUMBERS))
)
_ROW = {number: row for row, number in enumerate(MESH_POINTS)}

# Rows of what `FaceMesh.fit` returns.
LIPS = np.array([_ROW[number] for number in (*LIPS_OUTER, *LIPS_INNER)])
CHIN = _ROW[_CHIN_NUMBER]
RIGID = np.array([_ROW[number] for number in _RIGID_NUMBERS])
OVAL = np.array([_ROW[number] for number in _OVAL_NUMBERS])
_RIGHT_EYE, _LEFT_EYE = _ROW[33], _ROW[263]

# The landmark model sees the face with this much around it.
_REGION_SCALE = 1.5

# Runs in the calling thread: parallel work is the caller's to arrange.
_GRAPH = """
executor { name: "" type: "ApplicationThreadExecutor" }
input_stream: "image"
input_stream: "region"
input_side_packet: "with_attention"
output_stream: "landmarks"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:region"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the picture, turned with the head.

    Parameters
    ----------
    x, y : float
        Centre in pixels.
    size : float
        Side in pixels.
    roll_rad : float
        Clockwise turn.
    """

    x: float
    y: float
    size: float
    roll_rad: float

    @classmethod
    def around(cls, landmarks: NDArray[np.float32]) -> Region:
        """Where the face of `landmarks` should be looked for in the next picture.

        Parameters
        ----------
        landmarks : ndarray of shape (P, 3), float32
            What `FaceMesh.fit` returned.

        Returns
        -------
        Region
            A square about half as large again as the face.
        """
        low = landmarks[:, :2].min(axis=0)
        high = landmarks[:, :2].max(axis=0)
        x, y = (low + high) / 2
        eyes = landmarks[_LEFT_EYE] - landmarks[_RIGHT_EYE]
        return cls(
            x=float(x),
            y=float(y),
            size=_REGION_SCALE * float((high - low).max()),
            roll_rad=math.atan2(float(eyes[1]), float(eyes[0])),
        )


@dataclass(frozen=True, slots=True)
class Detection:
    """A face that a detector found.

    Parameters
    ----------
    box : ndarray of shape (4,), float32
        Left, top, right and bottom in pixels.
    roll_rad : float
        Clockwise turn of the line through the eyes.
    score : float
        The detector's score, 0 to 1.
    """

    box: NDArray[np.float32]
    roll_rad: float
    score: float

    @property
    def region(self) -> Region:
        """Where the landmark model should look for this face."""
        left, top, right, bottom = (float(edge) for edge in self.box)
        return Region(
            x=(left + right) / 2,
            y=(top + bottom) / 2,
            size=_REGION_SCALE * max(right - left, bottom - top),
            roll_rad=self.roll_rad,
        )


class _Graph:
    """A MediaPipe graph that opens quietly and closes with its ``with`` block."""

    _solution: Any

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the models' memory back; they are not freed otherwise."""
        self._solution.close()


class FaceDetector(_Graph):
    """Finds faces in single pictures.

    Parameters
    ----------
    far : bool
        False for the model made for faces within 2 m of the camera, True for
        the one for 5 m.
    min_score : float
        Faces with a lower score are left out.

    Raises
    ------
    MissingDependencyError
        MediaPipe or a library it needs is not there.
    """

    def __init__(self, *, far: bool, min_score: float = 0.5) -> None:
        mediapipe = _mediapipe()
        with quiet_native_logs():
            self._solution = mediapipe.solutions.face_detection.FaceDetection(
                model_selection=int(far), min_detection_confidence=min_score
            )
            self._solution.process(np.zeros((64, 64, 3), np.uint8))

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of one picture.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3), uint8
            The picture, RGB.

        Returns
        -------
        list of Detection
            In pixels of `image`, best first.
        """
        height, width = image.shape[:2]
        found = []
        for raw in self._solution.process(image).detections or ():
            relative = raw.location_data.relative_bounding_box
            right_eye, left_eye = raw.location_data.relative_keypoints[:2]
            box = np.array(
                [
                    relative.xmin * width,
                    relative.ymin * height,
                    (relative.xmin + relative.width) * width,
                    (relative.ymin + relative.height) * height,
                ],
                np.float32,
            )
            roll_rad = math.atan2(
                (left_eye.y - right_eye.y) * height, (left_eye.x - right_eye.x) * width
            )
            found.append(Detection(box, roll_rad, float(raw.score[0])))
        return found


class FaceMesh(_Graph):
    """Fits the face mesh to a given region of a picture.

    One object serves one thread at a time; separate objects run in parallel.

    Parameters
    ----------
    refine_lips : bool, default True
        Use the model that looks at lips and eyes a second time.

    Raises
    ------
    MissingDependencyError
        MediaPipe or a library it needs is not there.

    References
    ----------
    Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in
    Real-time", CVPR Workshops 2020.
    """

    def __init__(self, *, refine_lips: bool = True) -> None:
        _mediapipe()
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect
        from mediapipe.python.solution_base import SolutionBase

        self._rectangle = NormalizedRect
        with quiet_native_logs():
            self._solution = SolutionBase(
                graph_config=_GRAPH, side_inputs={"with_attention": refine_lips}
            )
            self.fit(np.zeros((64, 64, 3), np.uint8), Region(32.0, 32.0, 64.0, 0.0))

    def fit(self, image: NDArray[np.uint8], region: Region) -> NDArray[np.float32] | None:
        """Place the mesh on the face in `region`.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3), uint8
            The picture, RGB.
        region : Region
            Where the face is; may reach beyond the picture.

        Returns
        -------
        ndarray of shape (P, 3), float32, or None
            x, y, z of `MESH_POINTS` in pixels of `image`, z away from the camera
            on the scale of x; None where the model sees no face.
        """
        height, width = image.shape[:2]
        turn = abs(math.cos(region.roll_rad)) + abs(math.sin(region.roll_rad))
        reach = region.size * turn / 2
        left = max(0, math.floor(region.x - reach))
        top = max(0, math.floor(region.y - reach))
        right = min(width, math.ceil(region.x + reach))
        bottom = min(height, math.ceil(region.y + reach))
        if right - left < 2 or bottom - top < 2:
            return None
        # MediaPipe copies what it is given; the crop keeps that copy small.
        crop = np.ascontiguousarray(image[top:bottom, left:right])
        height, width = crop.shape[:2]
        roi = self._rectangle(
            x_center=(region.x - left) / width,
            y_center=(region.y - top) / height,
            width=region.size / width,
            height=region.size / height,
            rotation=region.roll_rad,
        )
        message = self._solution.process({"image": crop, "region": roi}).landmarks
        if message is None:
            return None
        points = message.landmark
        landmarks = np.array(
            [(points[i].x, points[i].y, points[i].z) for i in MESH_POINTS], np.float32
        )
        # x and z come as fractions of the width, y of the height.
        landmarks *= np.array([width, height, width], np.float32)
        landmarks[:, :2] += np.array([left, top], np.float32)
        return landmarks


def _mediapipe() -> Any:
    """Import MediaPipe, or say what is missing and how to get it."""
    try:
        with quiet_native_logs():
            import mediapipe
    except (ImportError, OSError) as error:
        detail = str(error)
        if "libGL" in detail or "libEGL" in detail or "libgthread" in detail:
            hint = "install the OpenGL libraries: apt-get install libgl1 libegl1 libglib2.0-0"
        else:
            hint = "pip install 'mediapipe==0.10.21' in Python 3.11 or 3.12"
        raise MissingDependencyError(
            f"MediaPipe, which finds the faces, does not load: {detail}", hint
        ) from error
    return mediapipe
