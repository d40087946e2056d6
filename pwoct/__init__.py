"""Octave and Pointwise Octave Convolution for PyTorch: layers, networks, trainer.

Each name below is imported on first use, so that `import pwoct` does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pwoct.branches import Octave, OctBatchNorm2d
    from pwoct.conversion import conversion_of, convert
    from pwoct.octave import OctConv
    from pwoct.pwise_octave import PwiseOctConv
    from pwoct.resnet import MODELS, ResNet, build
    from pwoct.training.loading import load_run

__all__ = [
    "MODELS",
    "OctBatchNorm2d",
    "OctConv",
    "Octave",
    "PwiseOctConv",
    "ResNet",
    "build",
    "conversion_of",
    "convert",
    "load_run",
]

_HOME = {
    "OctBatchNorm2d": "pwoct.branches",
    "Octave": "pwoct.branches",
    "OctConv": "pwoct.octave",
    "PwiseOctConv": "pwoct.pwise_octave",
    "MODELS": "pwoct.resnet",
    "ResNet": "pwoct.resnet",
    "build": "pwoct.resnet",
    "conversion_of": "pwoct.conversion",
    "convert": "pwoct.conversion",
    "load_run": "pwoct.training.loading",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("pwoct-cost")
    if name not in _HOME:
        raise AttributeError(f"module 'pwoct' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
