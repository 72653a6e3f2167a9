"""Packaging of avalign: metadata, extras and the entry point."""

from pathlib import Path

from setuptools import find_packages, setup

EXTRAS = {
    "torch": ["torch>=2.4"],
    "report": ["matplotlib>=3.8"],
    "bench": ["dtaidistance>=2.3", "psutil>=5.9", "librosa>=0.10.2"],
    "test": [
        "hypothesis>=6.100",
        "librosa>=0.10.2",
        "matplotlib>=3.8",
        "pyarrow>=14",
        "pytest>=8",
        "scikit-learn>=1.4",
        "torch>=2.4",
    ],
    "dev": ["import-linter>=2", "mypy>=1.11", "numpydoc>=1.8", "ruff>=0.6"],
}

setup(
    name="avalign",
    version="0.1.0",
    description="Line up the sound and the picture of a talking person.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=[*find_packages(include=["avalign", "avalign.*"]), *find_packages("cli")],
    package_dir={"avalign": "avalign", "avalign_cli": "cli/avalign_cli"},
    package_data={
        "avalign": ["py.typed", "*.pyi"],
        "avalign.space": ["weights/*"],
    },
    install_requires=[
        "av>=16",
        "mediapipe==0.10.21",
        "numba>=0.59",
        "numpy>=1.26,<2",
        "rich>=13",
        "safetensors>=0.4",
        "scipy>=1.11",
        "soxr>=0.4",
        "typer>=0.12",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["avalign=avalign_cli.main:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
        "Topic :: Multimedia :: Video",
    ],
)
