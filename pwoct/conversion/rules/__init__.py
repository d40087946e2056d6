"""How each operator handles a feature map in two branches; operators without a rule get a merged tensor.

>>> "relu" in RULES, "softmax" in RULES
(True, False)
"""

from __future__ import annotations

from pwoct.conversion.rules import channels, elementwise, joins, normalise, reductions, spatial
from pwoct.conversion.rules.registry import RULES, apply

__all__ = ["RULES", "apply"]

# Importing these fills the registry.
_ALL = (channels, elementwise, joins, normalise, reductions, spatial)
