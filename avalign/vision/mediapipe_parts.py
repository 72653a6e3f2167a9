"""The parts of MediaPipe that find faces, loaded without those that draw and listen."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

from avalign.errors import MissingDependencyError
from avalign.vision.native_logs import quiet_native_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_mediapipe"]

# Packages whose ``__init__`` loads matplotlib, sound devices and the task library, ten
# times as long as everything that is needed here.
_PASSED_OVER = ("mediapipe", "mediapipe.python.solutions")
_lock = threading.Lock()


def load_mediapipe() -> SimpleNamespace:
    """Import what finding faces needs, or say what is missing and how to get it.

    Returns
    -------
    SimpleNamespace
        ``CalculatorGraph``, ``FaceDetection``, ``ImageFormat``, ``NormalizedRect``,
        ``packet_creator`` and ``packet_getter``, as MediaPipe has them.

    Raises
    ------
    MissingDependencyError
        MediaPipe or a library it needs is not there.
    """
    try:
        with _lock, quiet_native_logs(), _without_initialisation():
            from mediapipe.framework.formats import rect_pb2
            from mediapipe.python import packet_creator, packet_getter
            from mediapipe.python._framework_bindings import calculator_graph, resource_util
            from mediapipe.python._framework_bindings.image_frame import ImageFormat
            from mediapipe.python.solutions.face_detection import FaceDetection

            # The models lie beside the code.
            resource_util.set_resource_dir(str(Path(packet_creator.__file__).parents[2]))
    except (ImportError, OSError) as error:
        detail = str(error)
        if "libGL" in detail or "libEGL" in detail or "libgthread" in detail:
            hint = "install the OpenGL libraries: apt-get install libgl1 libegl1 libglib2.0-0"
        else:
            hint = "pip install 'mediapipe==0.10.21' in Python 3.11 or 3.12"
        raise MissingDependencyError(
            f"MediaPipe, which finds the faces, does not load: {detail}", hint
        ) from error
    return SimpleNamespace(
        CalculatorGraph=calculator_graph.CalculatorGraph,
        FaceDetection=FaceDetection,
        ImageFormat=ImageFormat,
        NormalizedRect=rect_pb2.NormalizedRect,
        packet_creator=packet_creator,
        packet_getter=packet_getter,
    )


@contextmanager
def _without_initialisation() -> Iterator[None]:
    """Let modules of MediaPipe be imported without its packages' own code.

    Afterwards the packages are as if never imported, so that who wants all of
    MediaPipe in the same process gets all of it.
    """
    if "mediapipe" in sys.modules:
        yield
        return
    found = find_spec("mediapipe")
    if found is None or not found.submodule_search_locations:
        raise ImportError("there is no module named 'mediapipe'")
    root = Path(found.submodule_search_locations[0]).parent
    for name in _PASSED_OVER:
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package
    try:
        yield
    finally:
        packages = [
            name
            for name, module in list(sys.modules.items())  # other threads import meanwhile
            if name.split(".")[0] == "mediapipe" and hasattr(module, "__path__")
        ]
        for name in packages:
            del sys.modules[name]
