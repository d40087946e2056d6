"""The network of a configuration: built in, or built by the caller from its name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pwoct.lazy import has_lazy_layers
from pwoct.resnet import resnet
from pwoct.training.config import ConfigError, Model

Builder = Callable[[str, int], nn.Module]
_BUILDER: ContextVar[Builder | None] = ContextVar("builder", default=None)
FEW = 2  # images in a trial


@contextmanager
def built_by(build: Builder) -> Iterator[None]:
    """Build external networks with a function that takes a name and a seed.

    It returns a network on the CPU with initial weights that depend on the seed alone.

    >>> from pwoct.training.config import compose
    >>> config = compose(values={"model.name": "mine:Net"})
    >>> with built_by(lambda name, seed: nn.Flatten()):
    ...     build_model(config.model, classes=10, in_channels=3)
    Flatten(start_dim=1, end_dim=-1)
    """
    token = _BUILDER.set(build)
    try:
        yield
    finally:
        _BUILDER.reset(token)


def build_model(config: Model, classes: int, in_channels: int, seed: int = 0) -> nn.Module:
    """Return the network of a configuration; torch's random state decides the weights of a built-in one.

    Raises:
        ConfigError: if it is not built in, and `built_by` does not say how to build it.
    """
    if config.is_own:
        build = _BUILDER.get()
        if build is None:
            raise ConfigError(
                f"{config.name} is not a network of this package: say how to build it, by "
                "pwoct.training.networks.built_by"
            )
        model = build(config.name, seed)
        if has_lazy_layers(model):
            raise ConfigError(
                f"{config.name} has lazy layers, which have no sizes yet: name a function that makes it and "
                "runs it once"
            )
        return model
    model = resnet(
        config.depth,
        alpha=config.alpha[0] if len(config.alpha) == 1 else config.alpha,
        beta=config.beta[0] if len(config.beta) == 1 else config.beta,
        paths="+".join(config.paths),
        width_rule=config.width_rule,
        stride_rule=config.stride_rule,
        between=config.between,
        shortcut=config.shortcut,
        width=config.width,
        classes=classes,
        in_channels=in_channels,
    )
    if config.freeze_pointwise:
        for name, module in model.named_modules():
            if name.endswith((".reduce", ".expand")):
                module.requires_grad_(False)
    return model


def check_own(name: str, model: nn.Module, classes: int, image: tuple[int, int, int]) -> None:
    """Check by a step on noise that an external network can be trained on images (c, h, w).

    The model and torch's random state stay unchanged.

    Raises:
        ConfigError: if it does not run, does not return one number per class, or leaves parameters unused.
    """
    with torch.random.fork_rng(devices=[]):
        trial = copy.deepcopy(model)
        images = torch.randn(FEW, *image, generator=torch.Generator().manual_seed(0))
        for training in (False, True):
            _check_output(name, _run(name, trial.train(training), images), classes, training=training)
        logits = _run(name, trial, images)
        try:
            cross_entropy(logits.float(), torch.arange(FEW) % classes).backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise ConfigError(f"{name} can't be trained: {_first_line(error)}") from None
    unused = [key for key, value in trial.named_parameters() if value.requires_grad and value.grad is None]
    if unused:
        more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
        raise ConfigError(
            f"{name} has parameters that its output does not depend on: {', '.join(unused[:3])}{more}; "
            "remove them, or freeze them by requires_grad_(False)"
        )


def _run(name: str, model: nn.Module, images: Tensor) -> Any:
    try:
        return model(images)
    except Exception as error:  # the network's own code runs, and may raise anything
        size = "x".join(map(str, images.shape[1:]))
        kind = type(error).__name__
        raise ConfigError(f"{name} does not run on images of {size}: {kind}: {_first_line(error)}") from None


def _check_output(name: str, output: Any, classes: int, *, training: bool) -> None:
    when = "in training" if training else "in evaluation"
    if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != FEW:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ConfigError(
            f"{name} must return one number per image and class, ({FEW}, {classes}) for {FEW} images; {when} "
            f"it returns {got}"
        )
    if output.shape[1] != classes:
        raise ConfigError(
            f"{name} distinguishes {output.shape[1]} classes, but the images have {classes}: give this "
            f"number in its name, such as {_asking(name, classes)}"
        )


def _asking(name: str, classes: int) -> str:
    if "(" in name:
        return f"num_classes={classes}"
    return f"{name}(num_classes={classes})"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
