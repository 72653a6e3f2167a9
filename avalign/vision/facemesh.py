"""MediaPipe's models, in pixels: face detectors and the face mesh.

MediaPipe's ready-made ``FaceMesh`` solution finds a face with a detector that
misses small faces, and keeps its own idea of where the face is from picture to
picture. Here the same landmark model is wired into a graph that takes the
region from the caller. It has no memory, so a picture always gives the same
landmarks, several faces cost one run each, and the tracking is ours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.vision.mediapipe_parts import load_mediapipe
from avalign.vision.mesh_points import MESH_POINTS, MIRRORED
from avalign.vision.native_logs import quiet_native_logs
from avalign.vision.regions import Detection, Region

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["FaceDetector", "FaceMesh"]

# Runs in the calling thread: parallel work is the caller's to arrange. A matrix is read far
# faster than a message of landmarks. The calculator that makes it multiplies by the sides of
# a picture, relative to the longer one; by those of a square one they stay as they are.
_GRAPH = """
executor { name: "" type: "ApplicationThreadExecutor" }
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

_POINTS = np.array(MESH_POINTS)


class _Graph:
    """A MediaPipe graph that closes with its ``with`` block."""

    _graph: Any

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
        self._graph.close()


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
        mediapipe = load_mediapipe()
        with quiet_native_logs():
            self._graph = mediapipe.FaceDetection(
                model_selection=int(far), min_detection_confidence=min_score
            )
            self._graph.process(np.zeros((64, 64, 3), np.uint8))

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
        for raw in self._graph.process(image).detections or ():
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
        self._mediapipe = load_mediapipe()
        self._time = 0
        self._found: Any = None
        with quiet_native_logs():
            self._graph = self._mediapipe.CalculatorGraph(graph_config=_GRAPH)
            self._graph.observe_output_stream("matrix", self._keep)
            self._square = self._packet(np.zeros((1, 1, 3), np.uint8))
            refined = self._mediapipe.packet_creator.create_bool(True)
            self._graph.start_run({"with_attention": refined})
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
        self._time += 1
        self._found = None
        region_packet = self._mediapipe.packet_creator.create_proto(rectangle)
        self._graph.add_packet_to_input_stream("square", self._square.at(self._time))
        self._graph.add_packet_to_input_stream("image", self._packet(image).at(self._time))
        self._graph.add_packet_to_input_stream("region", region_packet.at(self._time))
        self._graph.wait_until_idle()
        if self._found is None:
            return None
        matrix = self._mediapipe.packet_getter.get_matrix(self._found)
        # x and z come as fractions of the width, y of the height.
        landmarks: NDArray[np.float32] = matrix.T[_POINTS] * np.array(
            [width, height, width], np.float32
        )
        return landmarks

    def _packet(self, image: NDArray[np.uint8]) -> Any:
        image.flags.writeable = False  # MediaPipe need not copy it then
        return self._mediapipe.packet_creator.create_image_frame(
            image, image_format=self._mediapipe.ImageFormat.SRGB
        )

    def _keep(self, _: str, packet: Any) -> None:
        self._found = packet
