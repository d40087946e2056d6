"""How each operator passes a feature map in two branches on; whatever has no rule gets a merged tensor.

>>> "relu" in RULES, "softmax" in RULES
(True, False)
"""

from __future__ import annotations

from pwoct.conversion.rules import channels, elementwise, joins, normalise, reductions, spatial
from pwoct.conversion.rules.registry import RULES, apply

__all__ = ["RULES", "apply"]

# Their import fills the registry.
_ALL = (channels, elementwise, joins, normalise, reductions, spatial)
