"""Train recognisers of speech and emotion; everything here needs torch."""

import lazy_loader

from avalign.errors import MissingDependencyError

try:
    import torch  # noqa: F401
except (ImportError, OSError) as error:
    raise MissingDependencyError(
        f"training needs torch, which does not load: {error}",
        'pip install "avalign[recognition]"',
    ) from error

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
