"""Settings of the documentation site.

Sphinx reads the repository from its root, so that links between the pages, the README and
the rest work on the site as they do on GitHub::

    sphinx-build -W -b html -c docs . build/site
"""

from importlib import import_module
from pathlib import Path

import avalign


def repeated_names() -> set[str]:
    """Return the names of what a shorter name exports as well: Sphinx indexes one of them."""
    root = Path(avalign.__file__).parents[1]
    stubs = sorted(root.glob("avalign/**/__init__.pyi"), key=lambda stub: len(stub.parts))
    seen: set[object] = set()
    repeated: set[str] = set()
    for stub in stubs:
        face = ".".join(stub.parent.relative_to(root).parts)
        for name in import_module(face).__all__:
            value = getattr(import_module(face), name)
            if isinstance(value, type):
                repeated |= {f"{face}.{name}"} if value in seen else set()
                seen.add(value)
    return repeated


project = "avalign"
author = "the avalign authors"
copyright = author  # noqa: A001  Sphinx's name
release = version = avalign.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
root_doc = "docs/contents"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/*.rst",
    "docs/api/*.rst",
    "benchmarks/README.md",
    "samples/LICENSES.md",
    "avalign/space/weights/MODEL_CARD.md",
]
exclude_patterns = [".*", "build", "dist"]

myst_heading_anchors = 4
default_role = "py:obj"

templates_path = ["docs/_templates"]  # autosummary looks from the root
autosummary_ignore_module_all = False  # a face lists what its room exports ...
autosummary_imported_members = True  # ... from the modules below it
autosummary_context = {"repeated": repeated_names()}
autodoc_typehints = "none"  # numpydoc gives the types
numpydoc_show_class_members = False  # the template of classes does
numpydoc_attributes_as_param_list = True

html_theme = "pydata_sphinx_theme"
html_title = f"avalign {release}"
html_extra_path = ["redirect"]
html_theme_options = {
    "logo": {"link": "docs/index"},
    "navigation_with_keys": False,
    "show_toc_level": 2,
}
html_show_sourcelink = False
