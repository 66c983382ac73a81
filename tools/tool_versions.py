"""Versions of the packages that make a model's bytes."""

import importlib.metadata

_PACKAGES = ("ai-edge-litert", "litert-quantizer", "numpy", "pillow")


def tool_versions() -> dict[str, str]:
    """Names the versions that a model's bytes depend on; Python's is none of them."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}
