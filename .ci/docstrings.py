"""Validate the docstrings of the public API with numpydoc.

The public API is what the faces list: `avalign.__all__` and the `__all__` of every room,
with the public methods of its classes. The checks are those of `[tool.numpydoc_validation]` in
pyproject.toml. (`numpydoc lint` reads sources only, and takes the fields of a
dataclass for parameters that do not exist.)
"""

import inspect
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from numpydoc.validate import validate

ROOT = Path(__file__).parents[1]


def faces() -> list[str]:
    """Return the packages with a face, and the modules that need none."""
    packages = [
        ".".join(stub.parent.relative_to(ROOT).parts)
        for stub in sorted(ROOT.glob("avalign/**/__init__.pyi"))
    ]
    return [*packages, "avalign.errors", "avalign.processes"]


def public_objects() -> dict[object, str]:
    """Map every public function, class and method to its dotted name."""
    found: dict[object, str] = {}
    for module_name in faces():
        module = import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                found.setdefault(value, f"{module_name}.{name}")
            if inspect.isclass(value):
                for method_name, method in vars(value).items():
                    if inspect.isfunction(method) and not method_name.startswith("_"):
                        found.setdefault(method, f"{module_name}.{name}.{method_name}")
    return found


def complaints(value: object, name: str, checks: set[str]) -> Iterator[str]:
    """Yield what is wrong with one docstring."""
    if value.__doc__ is None and inspect.getdoc(value) is not None:
        return  # inherited from a method that is checked itself
    # Who inherits parameters inherits their description.
    inherits = inspect.isclass(value) and value.__base__ is not object
    for code, text in validate(name)["errors"]:
        if code in checks and not (inherits and code == "PR01"):
            yield f"{name}: {code} {text}"


def main() -> int:
    """Print what is wrong; return 1 if anything is."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        checks = set(tomllib.load(file)["tool"]["numpydoc_validation"]["checks"])
    public = public_objects()
    wrong = [line for value, name in public.items() for line in complaints(value, name, checks)]
    print(
        *wrong, f"{len(public)} docstrings of the public API, {len(wrong)} complaints", sep="\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
