"""MediaPipe's models, in pixels: face detectors and the face mesh.

MediaPipe's ready-made ``FaceMesh`` solution finds a face with a detector that
misses small faces, and keeps its own idea of where the face is from picture to
picture. Here the same landmark model is wired into a graph that takes the
region from the caller. It has no memory, so a picture always gives the same
landmarks, several faces cost one run each, and the tracking is ours.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.vision.mediapipe_parts import load_mediapipe, with_own_models
from avalign.vision.mesh_points import MESH_POINTS, MIRRORED
from avalign.vision.native_logs import quiet_native_logs
from avalign.vision.regions import Detection, Region

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

# Runs in the calling thread: parallel work is the caller's to arrange.
_IN_CALLER = 'executor { name: "" type: "ApplicationThreadExecutor" }'

# A matrix is read far faster than a message of landmarks. The calculator that makes it
# multiplies by the sides of a picture, relative to the longer one; by those of a square one
# they stay as they are.
_MESH = (
    _IN_CALLER
    + """
input_stream: "image"
input_stream: "region"
input_stream: "square"
input_side_packet: "with_attention"
output_stream: "matrix"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:region"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
node {
  calculator: "ImagePropertiesCalculator"
  input_stream: "IMAGE:square"
  output_stream: "SIZE:sides"
}
node {
  calculator: "LandmarksToMatrixCalculator"
  input_stream: "LANDMARKS:landmarks"
  input_stream: "IMAGE_SIZE:sides"
  output_stream: "LANDMARKS_MATRIX:matrix"
  node_options: {
    [type.googleapis.com/mediapipe.LandmarksToMatrixCalculatorOptions] {
      object_normalization: false
    }
  }
}
"""
)

_DETECTION = (
    _IN_CALLER
    + """
input_stream: "image"
output_stream: "detections"
node {
  calculator: "FaceDetection%sRangeCpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
}
"""
)
# Every box with its own score, as all of avalign was measured with; `FaceFinder` brings those
# of one face together, over both detectors.
_UNMERGED = {
    "min_suppression_threshold: 0.3": "min_suppression_threshold: 1",
    "algorithm: WEIGHTED": "algorithm: DEFAULT",
}

_POINTS = np.array(MESH_POINTS)


class _Graph:
    """A running MediaPipe graph of one output, which closes with its ``with`` block."""

    def __init__(self, text: str, output: str, **side_packets: bool) -> None:
        self._mediapipe = mediapipe = load_mediapipe()
        self._time = 0
        # The graph holds on to what it calls, in C++, where no collector looks: if that
        # knew this object, and through it the graph, none of them would ever be freed.
        self._found: list[Any] = []
        with quiet_native_logs():
            self._graph = mediapipe.CalculatorGraph(graph_config=text)
            self._graph.observe_output_stream(output, partial(_keep, self._found))
            self._graph.start_run(
                {
                    name: mediapipe.packet_creator.create_bool(value)
                    for name, value in side_packets.items()
                }
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the models' memory back."""
        self._found.clear()
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _run(self, **packets: Any) -> Any:
        """Return the output for these inputs, or None if there is none."""
        self._time += 1
        self._found.clear()
        for stream, packet in packets.items():
            self._graph.add_packet_to_input_stream(stream, packet.at(self._time))
        self._graph.wait_until_idle()
        return self._found.pop() if self._found else None

    def _image(self, image: NDArray[np.uint8]) -> Any:
        return self._mediapipe.packet_creator.create_image_frame(
            image, image_format=self._mediapipe.ImageFormat.SRGB
        )


def _keep(found: list[Any], _: str, packet: Any) -> None:
    found.append(packet)


class FaceDetector(_Graph):
    """Finds faces within 2 m of the camera or, with `far`, 5 m."""

    def __init__(self, *, far: bool) -> None:
        graph = with_own_models(_DETECTION % ("Full" if far else "Short"))
        for merging, single in _UNMERGED.items():
            graph = graph.replace(merging, single)
        super().__init__(graph, "detections")
        with quiet_native_logs():
            self.detect(np.zeros((64, 64, 3), np.uint8))

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of one RGB frame, uint8 [H, W, 3]: in its pixels, best first."""
        height, width = image.shape[:2]
        found: list[Detection] = []
        output = self._run(image=self._image(image))
        if output is None:
            return found
        for raw in self._mediapipe.packet_getter.get_proto_list(output):
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

    The model, which looks at the lips a second time, errs a little differently on the
    mirror image of a face. Both are fitted, and the mean is taken: that finds more lags,
    most of all for small faces.

    One object serves one thread at a time; separate objects run in parallel.

    Raises
    ------
    MissingDependencyError
        MediaPipe or a library it needs is not there.

    References
    ----------
    Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in
    Real-time", CVPR Workshops 2020.
    """

    def __init__(self) -> None:
        super().__init__(with_own_models(_MESH), "matrix", with_attention=True)
        self._square = self._image(np.zeros((1, 1, 3), np.uint8))
        with quiet_native_logs():
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
        import cv2

        height, width = image.shape[:2]
        turn = abs(math.cos(region.roll_rad)) + abs(math.sin(region.roll_rad))
        reach = region.size * turn / 2
        left = max(0, math.floor(region.x - reach))
        top = max(0, math.floor(region.y - reach))
        right = min(width, math.ceil(region.x + reach))
        bottom = min(height, math.ceil(region.y + reach))
        if right - left < 2 or bottom - top < 2:
            return None
        # MediaPipe needs it in one piece; the crop keeps that copy small.
        crop = np.ascontiguousarray(image[top:bottom, left:right])
        inside = Region(region.x - left, region.y - top, region.size, region.roll_rad)
        landmarks = self._fit(crop, inside)
        if landmarks is None:
            return None
        width = right - left
        other = self._fit(cv2.flip(crop, 1), inside.mirrored(width))
        if other is not None:
            other = other[MIRRORED]
            other[:, 0] = width - other[:, 0]
            landmarks = (landmarks + other) / 2
        landmarks[:, :2] += np.array([left, top], np.float32)
        return landmarks

    def _fit(self, image: NDArray[np.uint8], region: Region) -> NDArray[np.float32] | None:
        height, width = image.shape[:2]
        rectangle = self._mediapipe.NormalizedRect(
            x_center=region.x / width,
            y_center=region.y / height,
            width=region.size / width,
            height=region.size / height,
            rotation=region.roll_rad,
        )
        image.flags.writeable = False  # MediaPipe need not copy it then
        found = self._run(
            square=self._square,
            image=self._image(image),
            region=self._mediapipe.packet_creator.create_proto(rectangle),
        )
        if found is None:
            return None
        matrix = self._mediapipe.packet_getter.get_matrix(found)
        # x and z come as fractions of the width, y of the height.
        landmarks: NDArray[np.float32] = matrix.T[_POINTS] * np.array(
            [width, height, width], np.float32
        )
        return landmarks
