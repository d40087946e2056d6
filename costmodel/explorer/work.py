"""What the page needs to predict times: each formula's operators one by one, and the roofline's constants.

The roofline takes the larger of arithmetic and traffic for each operator: sums over a path would not do.
"""

from __future__ import annotations

import json
from typing import Any

from costmodel.convention import DTYPE_BYTES
from costmodel.explorer.formulas import SYMBOLS, formulas, javascript, n
from costmodel.operators.recorder import Operator
from costmodel.speed import roofline


def work_javascript() -> str:
    """Return the operators of each formula as the JavaScript object WORK, and the constants as ROOFLINE.

    An operator is an array: its part, input and output channels, MACs, MACs of a training step, elements read
    without weights, weights, elements written, calls. All are functions of sizes and of the batch.
    """
    arguments = ", ".join(map(str, (*SYMBOLS, n)))
    shown = ",\n".join(
        f'"{formula.name}": ({arguments}) => [{", ".join(map(_work, formula.operators))}]'
        for formula in formulas()
    )
    return f"const WORK = {{\n{shown}\n}};\nconst ROOFLINE = {json.dumps(constants())};\n"


def _work(operator: Operator) -> str:
    cost = operator.cost
    assert operator.channels is not None
    values = (
        *operator.channels,
        cost.macs,
        cost.macs_training,
        cost.elements_read - cost.weights,
        cost.weights,
        cost.elements_written,
        cost.calls,
    )
    return f'["{operator.part}", {", ".join(map(javascript, values))}]'


def constants() -> dict[str, Any]:
    """Return the constants of the roofline model that do not depend on the machine."""
    return {
        "vectors": roofline.VECTORS,
        "tile": roofline.TILE,
        "bytes": {dtype: DTYPE_BYTES[dtype] for dtype in ("float32", "bfloat16")},
        "trainingTraffic": roofline.TRAINING_TRAFFIC,
        "otherTrainingTraffic": roofline.OTHER_TRAINING_TRAFFIC,
        "trainingCalls": roofline.TRAINING_CALLS,
    }
