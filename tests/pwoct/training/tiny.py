"""A configuration that trains in a second."""

from pwoct.training.config import compose

TINY = {
    "model.name": "resnet8",
    "model.width": 4,
    "epochs": 2,
    "batch": 16,
    "schedule.warmup": 1,
    "machine.device": "cpu",
    "machine.threads": 1,
    "machine.precision": "fp32",
    "machine.plan": "reference",
}
SGD = {"optimiser__name": "sgd", "optimiser__rest_lr": None}


def tiny(**values):
    return compose(
        "fast", values={**TINY, **{name.replace("__", "."): value for name, value in values.items()}}
    )


def own(name, **values):
    """Of a network of another origin: without what goes with built-in ones, and without a plan."""
    kept = {key: value for key, value in TINY.items() if key not in ("model.width", "machine.plan")}
    given = {key.replace("__", "."): value for key, value in values.items()}
    return compose("fast", values={**kept, "model.name": name, **given})
