"""The parts of MediaPipe that find faces, loaded without those that draw and listen."""

from __future__ import annotations

import os
import re
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

# The package whose ``__init__`` loads matplotlib, sound devices and the task library, ten
# times as long as everything that is needed here.
_PASSED_OVER = "mediapipe"
# As the graphs that come with it name its models.
_MODEL = re.compile(r'"(mediapipe/[^"]+\.tflite)"')
_lock = threading.Lock()


def load_mediapipe() -> SimpleNamespace:
    """Import what finding faces needs, or say what is missing and how to get it."""
    try:
        with _lock, quiet_native_logs(), _without_initialisation():
            from mediapipe.framework.formats import (
                detection_pb2,  # noqa: F401  `packet_getter` finds it where it was loaded
                rect_pb2,
            )
            from mediapipe.python import packet_creator, packet_getter
            from mediapipe.python._framework_bindings import (
                calculator_graph,
                validated_graph_config,
            )
            from mediapipe.python._framework_bindings.image_frame import ImageFormat
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
        ImageFormat=ImageFormat,
        NormalizedRect=rect_pb2.NormalizedRect,
        ValidatedGraphConfig=validated_graph_config.ValidatedGraphConfig,
        packet_creator=packet_creator,
        packet_getter=packet_getter,
    )


def with_own_models(graph: str) -> str:
    """Write out the parts of a graph, and its models by their absolute paths."""
    # MediaPipe names models from the root of its package, and takes what lies under such a name
    # in the current directory first, whoever put it there.
    mediapipe = load_mediapipe()
    root = Path(mediapipe.packet_creator.__file__).absolute().parents[2]

    def absolute(name: re.Match[str]) -> str:
        path = os.fsencode(root / name[1])
        return '"' + "".join(f"\\{byte:03o}" for byte in path) + '"'

    config = mediapipe.ValidatedGraphConfig()
    config.initialize(graph_config=graph)
    return _MODEL.sub(absolute, config.text_config)


@contextmanager
def _without_initialisation() -> Iterator[None]:
    """Let modules of MediaPipe be imported without its package's own code."""
    # Afterwards the packages are as if never imported: who wants all of MediaPipe gets all of
    # it.
    if "mediapipe" in sys.modules:
        yield
        return
    found = find_spec("mediapipe")
    if found is None or not found.submodule_search_locations:
        raise ImportError("there is no module named 'mediapipe'")
    root = Path(found.submodule_search_locations[0]).parent
    package = ModuleType(_PASSED_OVER)
    package.__path__ = [str(root / _PASSED_OVER)]
    sys.modules[_PASSED_OVER] = package
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
