"""Packaging of avalign: metadata, extras and the entry point."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

CORE = [
    "av>=18.1",
    "lazy_loader>=0.4",
    "libtsm>=1.1.2",
    # The last release whose wheels hold the face mesh models. It also brings OpenCV, as
    # opencv-contrib-python: naming a second distribution of cv2 here would break both.
    "mediapipe==0.10.21",
    # The kernels reach into numba; the upper bound is what CI has seen.
    "numba>=0.60,<0.69",
    "numpy>=1.26,<2",
    "rich>=13.8",
    "safetensors>=0.4",
    "scipy>=1.12",
    "soxr>=0.4",
    "typer>=0.28",
]
TORCH = ["torch>=2.4"]
REPORT = ["matplotlib>=3.8"]
EXPLAIN = [*TORCH, "captum>=0.7"]
RECOGNITION = [*TORCH, "jiwer>=3"]
# torch.onnx.ops, by which recurrent networks are written, came with 2.8.
EXPORT = ["torch>=2.8", "onnx>=1.16", "onnxruntime>=1.18", "onnxscript>=0.3"]
# aeon, synctoolbox and linmdtw are compared as well where they are installed, but cannot be
# asked for here: see benchmarks/dtw/optional-peers.txt.
BENCH = [
    *TORCH,
    *REPORT,
    "dtaidistance>=2.3",
    "dtw-python>=1.5",
    "fastdtw>=0.3.4",
    "librosa>=0.10.2",
    "psutil>=5.9",
    "pysdtw>=0.0.5",
    "pyts>=0.13",
    "tslearn>=0.6.3",
]
TEST = [
    *TORCH,
    *REPORT,
    *RECOGNITION,
    *EXPLAIN,
    *EXPORT,
    "hypothesis>=6.100",
    "librosa>=0.10.2",
    "psutil>=5.9",
    "pyarrow>=14",
    "pytest>=8.2",
    "pytest-xdist>=3.6",
    "scikit-image>=0.22",
    "scikit-learn>=1.4",
    "tensorboard>=2.16",
]
DOCS = [
    *TORCH,
    *REPORT,
    "myst-parser>=5",
    "numpydoc>=1.8",
    "pydata-sphinx-theme>=0.16",
    "sphinx>=9",
]
DEV = ["build>=1.2", "import-linter>=2.6", "mypy>=1.11", "numpydoc>=1.8", "ruff>=0.6"]


def version() -> str:
    """Read the one place where the version is written."""
    source = (HERE / "avalign" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)[1]


setup(
    name="avalign",
    version=version(),
    description="Line up the sound and the picture of a talking person.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords="lip sync, audio-visual, av offset, synchronisation, video, speech",
    python_requires=">=3.11,<3.13",
    packages=[*find_packages(include=["avalign", "avalign.*"]), *find_packages("cli")],
    package_dir={"avalign": "avalign", "avalign_cli": "cli/avalign_cli"},
    package_data={
        "": ["*.pyi"],
        "avalign": ["py.typed"],
        "avalign.fusion": ["ranks.json"],
        "avalign.space": ["weights/*.safetensors", "weights/*.json", "weights/*.md"],
        "avalign.vision": ["weights/*.safetensors"],
    },
    install_requires=CORE,
    extras_require={
        "torch": TORCH,
        "report": REPORT,
        "explain": EXPLAIN,
        "recognition": RECOGNITION,
        "export": EXPORT,
        "bench": BENCH,
        "test": TEST,
        "docs": DOCS,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["avalign=avalign_cli.main:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
        "Topic :: Multimedia :: Video",
        "Typing :: Typed",
    ],
)
