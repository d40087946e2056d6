"""Everything that a training step changes: the model, its optimiser, its average, the random state."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pwoct.plan import plan_for, why_not, with_plan
from pwoct.plan.lean.converted import why_not_converted
from pwoct.training.config import Config, ConfigError
from pwoct.training.device import autocast, dtype_of
from pwoct.training.distributed import Ranks
from pwoct.training.networks import build_model, check_own
from pwoct.training.optimiser import Average, make_optimiser


def settle_plan(config: Config, classes: int, in_channels: int, size: tuple[int, int]) -> Config:
    """Return `config` with the best execution plan for its network and device, unless it names one.

    Raises:
        ConfigError: if it names a plan that cannot run, or a network that cannot be trained.
    """
    if config.model.is_own:
        return _settle_own(config, classes, (in_channels, *size))
    machine = config.machine
    images = config.batch // max(1, machine.ranks)
    if machine.plan not in ("auto", "blocked"):
        return config
    with torch.device("meta"):  # only its shape matters
        model = build_model(config.model, classes, in_channels)
    if machine.plan == "blocked":
        if reason := _why_not_blocked(model, config, images, size):
            raise ConfigError(f"machine.plan: {reason}")
        return config
    plan = plan_for(
        model, (images, in_channels, *size), dtype_of(config), training=True, device=machine.device
    )
    if plan == "blocked" and (machine.compile or machine.sync_bn):
        plan = "lean"
    return config.model_copy(update={"machine": machine.model_copy(update={"plan": plan})})


def _settle_own(config: Config, classes: int, image: tuple[int, int, int]) -> Config:
    """Return `config` with the plan of an external network, after a trial on noise."""
    name, machine = config.model.name, config.machine
    model = build_model(config.model, classes, image[0], config.seed)
    check_own(name, model, classes, image)
    images, why = config.batch // max(1, machine.ranks), None
    if machine.plan == "lean":
        why = why_not_converted(model)
    elif machine.plan == "blocked":
        why = _why_not_blocked(model, config, images, (image[1], image[2]))
    if why is not None:
        instead = "lean" if machine.plan == "blocked" and why_not_converted(model) is None else "reference"
        raise ConfigError(f"machine.plan: {machine.plan} does not compute {name}: {why}; use {instead}")
    plan: str = machine.plan
    if plan == "auto":
        plan = plan_for(model, (images, *image), dtype_of(config), training=True, device=machine.device)
        if machine.compile:
            plan = "reference"
        elif plan == "blocked" and machine.sync_bn:
            plan = "lean"
    return config.model_copy(update={"machine": machine.model_copy(update={"plan": plan})})


def _why_not_blocked(model: nn.Module, config: Config, images: int, size: tuple[int, int]) -> str | None:
    machine = config.machine
    if machine.device != "cpu" or machine.compile or machine.sync_bn:
        return "blocked needs device cpu, without compile and sync_bn"
    return why_not("blocked", model, images=images, size=size)


class Learner:
    """A model in training; `evaluated` is the one whose accuracy counts: the average, if there is one."""

    def __init__(self, config: Config, classes: int, in_channels: int, ranks: Ranks) -> None:
        self.config = config
        self.device = torch.device(config.machine.device)
        torch.manual_seed(config.seed)
        model = build_model(config.model, classes, in_channels, config.seed)
        if config.machine.sync_bn:
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        layout = torch.channels_last if config.machine.channels_last else torch.contiguous_format
        self.model: nn.Module = model.to(self.device, memory_format=layout)  # type: ignore[call-overload]
        self.optimiser = make_optimiser(config.optimiser, self.model)
        self.average = Average(self.model, config.ema) if config.ema else None
        self.evaluated = self.average.model if self.average else self.model
        forward = ranks.wrap(with_plan(self.model, config.machine.plan))
        self.forward: Callable[[Tensor], Tensor] = (
            torch.compile(forward) if config.machine.compile else forward
        )
        torch.manual_seed(config.seed + 1 + ranks.rank)  # for layers that draw random numbers themselves

    def update(self, x: Tensor, labels: Tensor, rate: float, step: int) -> tuple[Tensor, Tensor]:
        """Make one step at a learning rate; return the loss and the number of images classified correctly."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        with autocast(self.config):
            logits = self.forward(x)
        loss = cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.optimiser.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimiser.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.model, step)
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def tensors(self) -> dict[str, Tensor]:
        """Return the state that a resumed training needs besides the model; the same on all ranks."""
        return dict(self._named_tensors())

    def restore(self, model: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
        """Restore the state returned by `tensors`, and the model's."""
        self.model.load_state_dict(model)
        if self.average is not None:
            self.average.model.load_state_dict(under("average.", tensors))
        parameters = self.parameters()
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in under("optimiser.", tensors).items():
            index, key = name.split(".")
            # In the parameter's memory layout: fused optimisers iterate over both at once.
            like = parameters[int(index)]
            laid_out = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            state.setdefault(int(index), {})[key] = laid_out
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})

    def parameters(self) -> list[Tensor]:
        """Return the trained parameters in the order of the optimiser."""
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def random_state(self) -> Tensor:
        """Return the state of this rank's random generators, from which layers draw."""
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        elif self.device.type == "mps":
            states.append(torch.mps.get_rng_state())
        return torch.cat(states)

    def set_random_state(self, state: Tensor) -> None:
        """Restore the state returned by `random_state`."""
        size = torch.get_rng_state().numel()
        torch.set_rng_state(state[:size])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state[size:], self.device)
        elif self.device.type == "mps":
            torch.mps.set_rng_state(state[size:])

    def _named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        if self.average is not None:
            for name, value in self.average.model.state_dict().items():
                yield f"average.{name}", value
        for index, values in self.optimiser.state_dict()["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor):  # before the first step there is no momentum yet
                    yield f"optimiser.{index}.{key}", value


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, under names without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
