"""`avalign doctor`: what is installed, what is missing, how to get it."""

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module, metadata, resources
from typing import Annotated

import typer

from avalign.processes import cores
from avalign_cli.exit_codes import MISSING_DEPENDENCY
from avalign_cli.ui import Screen

__all__ = ["doctor"]


# Module, and the package that brings it.
NEEDED = {
    "numpy": "numpy",
    "numba": "numba",
    "soxr": "soxr",
    "safetensors": "safetensors",
    "av": "av",
    "cv2": "opencv-contrib-python",
    "mediapipe": "mediapipe",
}
# Module, the extra of avalign that brings it, and what goes without.
OPTIONAL = {
    "matplotlib": ("report", "--plot"),
    "torch": ("torch", "training, recognising and avalign.fusion"),
}
# On a bare server OpenCV misses OpenGL, although it never opens a window here.
_LIBGL = "apt-get install libgl1 libglib2.0-0"
SYSTEM_LIBRARIES = {"cv2": _LIBGL, "mediapipe": _LIBGL}
FACE_MODELS = ("face_detection/face_detection_short_range", "face_landmark/face_landmark")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for.

    Parameters
    ----------
    name : str
        What it is.
    found : str or None
        Version or value; None where it is missing or does not load.
    needed : bool
        Whether avalign works without.
    remedy : str or None
        What is wrong and how to mend it.
    """

    name: str
    found: str | None
    needed: bool = True
    remedy: str | None = None


def doctor(
    json: Annotated[
        bool,
        typer.Option("--json", help='Print one JSON object: "works" and the "findings".'),
    ] = False,
) -> int:
    """Show what is installed, what is missing, how to get it.

    The exit code is 0 if avalign can measure and repair, else 5.
    """
    findings = list(_findings())
    broken = any(finding.found is None and finding.needed for finding in findings)
    screen = Screen(json=json)
    if json:
        from json import dumps

        screen.data(dumps({"works": not broken, "findings": [asdict(one) for one in findings]}))
    for one in findings:
        screen.result(_line(one), _style(one))
    screen.result("")
    screen.result("avalign cannot work yet" if broken else "avalign works", _style(findings[0]))
    return MISSING_DEPENDENCY if broken else 0


def _line(one: Finding) -> str:
    mark = "ok" if one.found else "missing" if one.needed else "absent"
    said = " - ".join(part for part in (one.found, one.remedy) if part)
    return f"{mark:<8}{one.name:<14}{said}"


def _style(one: Finding) -> str:
    return "green" if one.found else "red" if one.needed else "yellow"


def _findings() -> Iterator[Finding]:
    yield Finding("avalign", _version("avalign"))
    yield Finding("python", platform.python_version())
    yield Finding("cores", str(cores()))
    yield Finding("memory", _memory(), needed=False)
    for module, package in NEEDED.items():
        yield _module(module, package, f"pip install {package}")
    yield _face_models()
    yield _space_weights()
    for module, (extra, use) in OPTIONAL.items():
        remedy = f"only for {use}: pip install 'avalign[{extra}]'"
        yield _module(module, module, remedy, needed=False)


def _module(module: str, package: str, remedy: str, *, needed: bool = True) -> Finding:
    try:
        import_module(module)
    except (ImportError, OSError) as error:
        if _version(package) is not None:
            # The package is there, but something it needs is not.
            remedy = f"{error}; {SYSTEM_LIBRARIES.get(module, remedy)}"
        return Finding(module, None, needed, remedy)
    return Finding(module, _version(package) or "installed", needed)


def _face_models() -> Finding:
    missing = "reinstall mediapipe==0.10.21; later versions bring no models"
    try:
        modules = resources.files("mediapipe") / "modules"
    except ImportError:
        return Finding("face models", None, remedy=missing)
    if all((modules / f"{name}.tflite").is_file() for name in FACE_MODELS):
        return Finding("face models", "face detection, face landmarks")
    return Finding("face models", None, remedy=missing)


def _space_weights() -> Finding:
    from avalign.reports import model_name

    name = model_name()
    remedy = None if name else "the installation is incomplete: reinstall avalign"
    return Finding("space weights", name, remedy=remedy)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _memory() -> str | None:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return f"{total / 2**30:.1f} GiB"
