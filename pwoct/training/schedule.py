"""The learning rate as a pure function of the step."""

from bisect import bisect_right

from pwoct.training.config import Config, Schedule


def rate(config: Config, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate at a step, counted from 0 over the whole run."""
    return config.optimiser.lr * rate_factor(config.schedule, step, steps_per_epoch, config.epochs)


def rate_factor(schedule: Schedule, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the factor of the learning rate at a step, counted from 0 over the whole run.

    It rises linearly over the warm-up. Then "one_cycle" falls linearly, reaching 0 right after the last step;
    "steps" is the factor of the last milestone passed, where milestones are fractions of the run.

    >>> halves = Schedule(name="steps", milestones=(0.5,), factors=(0.1,))
    >>> [rate_factor(halves, step, 2, 2) for step in range(4)]
    [1.0, 1.0, 0.1, 0.1]
    >>> cycle = Schedule(name="one_cycle", warmup=1)
    >>> [rate_factor(cycle, step, 2, 2) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    total = steps_per_epoch * epochs
    warmup = round(min(schedule.warmup * steps_per_epoch, total))
    if step < warmup:
        return (step + 1) / warmup
    if schedule.name == "one_cycle":
        return (total - step) / (total - warmup)
    passed = bisect_right([round(share * total) for share in schedule.milestones], step)
    return schedule.factors[passed - 1] if passed else 1.0
