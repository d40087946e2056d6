"""Whether and how a run may resume: settled values, allowed changes, and the checks of a checkpoint."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pwoct.training.checkpoint import Checkpoint, CheckpointError
from pwoct.training.config import Config, ConfigError, Optimiser, differences, flatten, validated
from pwoct.training.forms import Epoch, PositionForm, require
from pwoct.training.learner import Learner, under
from pwoct.training.record import DamagedError, Result, RunError, RunFolder

# With these changed, a checkpoint's tensors would not fit, or its position in an epoch would be meaningless.
FIXED = ("seed", "batch", "ema", "optimiser.name", "optimiser.decay")
# The state that an optimiser keeps for each parameter after its first step.
_KEPT = {"sgd": ("momentum_buffer",), "muon": ("momentum_buffer",), "adam": ("step", "exp_avg", "exp_avg_sq")}
_SETTLED = ("device", "precision", "threads", "plan")


def remembered(config: Config, run: RunFolder, allow_change: Collection[str]) -> Config:
    """Return `config` with values left to the machine replaced by those that the run has settled.

    A key in `allow_change` is settled anew.
    """
    try:
        before = run.config().machine
    except DamagedError:  # or it does not exist yet: then the checkpoint decides
        return config
    machine = config.machine
    taken = {
        key: getattr(before, key)
        for key in _SETTLED
        if getattr(machine, key) in ("auto", 0) and f"machine.{key}" not in allow_change
    }
    return config.model_copy(update={"machine": machine.model_copy(update=taken)})


def check_keys(allow_change: Collection[str], config: Config) -> None:
    """Raise ConfigError if an allowed change does not name a key."""
    known = {*flatten(config), "data"}
    if unknown := [key for key in allow_change if key not in known]:
        raise ConfigError(f"no change of {', '.join(unknown)} can be allowed: there is no such key")


def finished(run: RunFolder, config: Config, data: str, allow_change: Collection[str]) -> Result | None:
    """Return the result of a finished run, or None if there is still something to do.

    Raises:
        RunError: if it was finished with a different configuration or data.
        CheckpointError: if one of its files is missing or damaged, and no checkpoint is left to restore it.
    """
    result = run.result()
    if result is None:
        return None
    changed = changes(validated(result.config), config, result.data, data)
    refuse(run, changed, allow_change)
    # How it is computed no longer matters: continuing would only rewrite the record.
    if not all(key.startswith("machine.") for key in changed):
        return None
    if (fault := run.incomplete(result)) is None:
        return result
    if not any(run.checkpoints.glob("step-*")):
        raise CheckpointError(
            f"{run.path} is finished, but {fault}, and there is no checkpoint to restore it"
        )
    return None


def changes(old: Config, new: Config, old_data: str, new_data: str) -> list[str]:
    """Return the keys whose values differ, and "data" if the content of the images does."""
    return differences(old, new) + (["data"] if old_data != new_data else [])


def refuse(run: RunFolder, changed: Collection[str], allow_change: Collection[str]) -> None:
    """Raise RunError naming changed keys that are not allowed, or that cannot be allowed."""
    fixed = [key for key in changed if key in FIXED or key.startswith("model.")]
    if fixed:
        raise RunError(
            f"{run.path} was begun with different values of {', '.join(fixed)}: choose another name"
        )
    forbidden = [key for key in changed if key not in allow_change]
    if forbidden:
        raise RunError(
            f"{run.path} was begun with different values of {', '.join(forbidden)}:"
            " choose another name, or allow the change"
        )


@dataclass(frozen=True)
class CheckpointState:
    """The content of a checkpoint's JSON."""

    config: Config
    data: str
    progress: dict[str, Any]


def read_state(checkpoint: Checkpoint) -> CheckpointState:
    """Return the content of a checkpoint's JSON.

    Raises:
        CheckpointError: if something is missing or inconsistent.
    """
    state = checkpoint.state
    try:
        config = validated(_key(state, "config"))
        data, progress = _key(state, "data"), _key(state, "progress")
        require(PositionForm, progress)
        for line in progress["history"]:
            require(Epoch, line)
    except (ValueError, ConfigError) as error:
        raise _wrong(checkpoint, str(error)) from None
    epoch, step, steps = progress["epoch"], progress["step"], progress["steps_per_epoch"]
    if not isinstance(data, str):
        raise _wrong(checkpoint, "data must be a text")
    if step >= steps:
        raise _wrong(checkpoint, f"step {step} of an epoch of {steps}")
    if epoch * steps + step != checkpoint.step:
        raise _wrong(checkpoint, f"epoch {epoch} and step {step} are not step {checkpoint.step} of the run")
    if len(progress["history"]) != epoch:
        raise _wrong(checkpoint, f"{len(progress['history'])} epochs in the history, not {epoch}")
    return CheckpointState(config, data, progress)


def check_tensors(checkpoint: Checkpoint, state: CheckpointState, learner: Learner) -> None:
    """Raise CheckpointError unless a checkpoint has every tensor that training needs, in the right shape."""
    model = learner.model.state_dict()
    needed = {f"training {name}": like for name, like in _training_tensors(checkpoint, state, learner)}
    needed |= {f"model {name}": like for name, like in model.items()}
    found = {f"model {name}": value for name, value in checkpoint.model.items()}
    found |= {f"training {name}": value for name, value in checkpoint.training.items()}
    for name, like in needed.items():
        if name not in found:
            raise _wrong(checkpoint, f"no tensor {name}")
        if found[name].shape != like.shape or found[name].is_floating_point() != like.is_floating_point():
            shapes = f"{tuple(found[name].shape)} {found[name].dtype}, not {tuple(like.shape)} {like.dtype}"
            raise _wrong(checkpoint, f"tensor {name} is {shapes}")
    if unknown := sorted(found.keys() - needed.keys()):
        raise _wrong(checkpoint, f"unknown tensor {unknown[0]}")


def _training_tensors(
    checkpoint: Checkpoint, state: CheckpointState, learner: Learner
) -> Iterator[tuple[str, Tensor]]:
    """Return every tensor besides the model's, with a tensor of the expected shape."""
    config, model = state.config, learner.model.state_dict()
    if config.ema is not None:
        yield from ((f"average.{name}", value) for name, value in model.items())
    if config.data.validation and state.progress["epoch"]:
        yield from ((f"chosen.{name}", value) for name, value in model.items())
    for rank in range(max(1, config.machine.ranks)):
        yield f"totals.{rank}", torch.zeros(2)
        yield f"random.{rank}", _random_like(checkpoint.training.get(f"random.{rank}"), learner)
    if checkpoint.step:
        for index, parameter in enumerate(learner.parameters()):
            for key in _kept(config.optimiser):
                like = parameter if key != "step" else torch.zeros(())
                yield f"optimiser.{index}.{key}", like


def _random_like(given: Tensor | None, learner: Learner) -> Tensor:
    """Return the generators' state, whose size depends on the device."""
    own = learner.random_state()
    longer = (
        given is not None and given.dtype == torch.uint8 and given.numel() >= torch.get_rng_state().numel()
    )
    return given if longer and given is not None else own


def _kept(optimiser: Optimiser) -> tuple[str, ...]:
    return () if optimiser.name == "sgd" and not optimiser.momentum else _KEPT[optimiser.name]


def _key(state: dict[str, Any], key: str) -> Any:
    if key not in state:
        raise ValueError(f"{key} is missing")
    return state[key]


def _wrong(checkpoint: Checkpoint, fault: str) -> CheckpointError:
    return CheckpointError(f"the checkpoint of step {checkpoint.step} is invalid: {fault}")


def chosen_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the weights with the best accuracy on held-out images so far."""
    return under("chosen.", checkpoint.training)
