"""Fusion of aligned streams: every family behind one interface.

>>> from avalign.fusion import build_fusion, list_fusions
>>> fusion = build_fusion("early", dims={"audio": 39, "lips": 120}, out_dim=128)

Public names are imported when they are first used, so that the registry can be read
without torch; type checkers read them in ``__init__.pyi``.
"""

import importlib

_HOMES = {
    "explain": ("Saliency", "attention_maps", "integrated_gradients"),
    "export": ("export_fusion",),
    "imputation": ("ImputingFusion",),
    "influence": ("Contributions", "SwapTest", "contributions", "swap_test"),
    "interface": ("Fusion", "FusionInput", "FusionOutput"),
    "join": ("AlignedBatch", "bucket_batches", "collate", "from_alignment", "path_warp"),
    "lag_reading": ("AttentionLag", "attention_lag"),
    "modality_dropout": ("ModalityDropout",),
    "registry": ("FAMILIES", "Family", "build_fusion", "family", "list_fusions"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME_OF)]


def __getattr__(name: str) -> object:
    """Import a public name from its module, and keep it (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
