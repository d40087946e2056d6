"""Code shared by the training commands: configurations from options, exit codes, data folders."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from costmodel.commands.shared.errors import (
    BAD_INPUT,
    CHECK_FAILED,
    CHECKPOINT,
    DATA,
    INTERNAL,
    UNSAVED,
    fail,
    say,
)
from costmodel.commands.shared.limits import MOST_SEEDS, check_built
from costmodel.commands.shared.network import is_own
from costmodel.commands.shared.own_training import own_networks
from costmodel.commands.shared.progress import Board, Lines, Live
from costmodel.commands.shared.ranks import is_first_rank, ranks_started
from costmodel.commands.shared.reading import path_names, per_stage
from costmodel.commands.shared.vocabulary import option
from costmodel.networks.resnet import ResNetDesign, depth_of, named
from costmodel.report import Column, counted
from costmodel.rounding import check_alpha, check_beta
from costmodel.sizes import check_choice, check_most

if TYPE_CHECKING:
    from pwoct.training.config import Config
    from pwoct.training.kept import Records
    from pwoct.training.record import RunFolder
    from pwoct.training.signals import Signals

DataOption: TypeAlias = Annotated[Path | None, option("data")]
RunsOption: TypeAlias = Annotated[Path, option("runs")]


# Names of dtypes in the configuration of a run.
PRECISIONS: Mapping[str, str] = {"float32": "fp32", "bfloat16": "bf16"}


def fail_at_contradictions(records: Records) -> None:
    """Exit with code 1 if kept records contradict themselves or one another; each is named first."""
    found = records.contradictions
    for each in found:
        say(f"pwoct-cost: {each}")
    if found:
        where = counted(len(records.content), "record")
        fail(f"{counted(len(found), 'contradiction')} in {where}", CHECK_FAILED)


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors of training into one line on stderr and an exit code."""
    from pwoct.training.checkpoint import CheckpointError
    from pwoct.training.data import DataError
    from pwoct.training.distributed import LostRanksError
    from pwoct.training.launch import started_by_launch
    from pwoct.training.record import DamagedError
    from pwoct.training.saver import DivergedError
    from pwoct.training.signals import StoppedError

    try:
        with own_networks():
            yield
    except DataError as error:
        fail(str(error), DATA)
    except (CheckpointError, DamagedError) as error:
        fail(str(error), CHECKPOINT)
    except LostRanksError as error:
        if (
            is_first_rank() or not started_by_launch()
        ):  # otherwise the first rank, or the launcher, reports it
            fail(str(error), CHECK_FAILED)
        raise typer.Exit(CHECK_FAILED) from None
    except DivergedError as error:
        fail(str(error), CHECK_FAILED)
    except StoppedError as error:
        if is_first_rank():  # all ranks stop together
            say(f"pwoct-cost: {error}")
        raise typer.Exit(error.exit_code) from None
    except ValueError as error:
        fail(str(error), BAD_INPUT)


@contextmanager
def stoppable() -> Iterator[Signals]:
    """Record signals to stop or to save while a run is trained; before and after, a stop acts at once."""
    from pwoct.training.signals import Signals

    with Signals(idle=_leave) as signals:
        yield signals


def _leave(number: int) -> None:
    """End the process: nothing is unsaved, and an exception might be caught by a module being imported."""
    from signal import Signals as Names

    say(f"pwoct-cost: stopped by {Names(number).name} while nothing was being trained")
    sys.stderr.flush()
    os._exit(128 + number)


def end_by(troubles: Mapping[str, Exception], runs: int) -> None:
    """Exit with the highest code of the errors that ended runs; return if there are none."""
    from pwoct.training.checkpoint import CheckpointError
    from pwoct.training.cluster import UnexpectedError
    from pwoct.training.data import DataError
    from pwoct.training.record import DamagedError
    from pwoct.training.saver import DivergedError
    from pwoct.training.study import UnwrittenError

    codes = {
        UnexpectedError: INTERNAL,
        DivergedError: CHECK_FAILED,
        CheckpointError: CHECKPOINT,
        DamagedError: CHECKPOINT,
        UnwrittenError: UNSAVED,
        DataError: DATA,
    }
    if troubles:
        code = max(codes.get(type(error), BAD_INPUT) for error in troubles.values())
        fail(f"{len(troubles)} of {counted(runs, 'run')} failed: {', '.join(troubles)}", code)


def network_values(
    model: str | None, alpha: str | None, beta: str | None, paths: str | None
) -> dict[str, Any]:
    """Return the configuration keys of the given network options."""
    values: dict[str, Any] = {}
    if model:
        values["model.name"] = model if is_own(model) else f"resnet{depth_of(model)}"
    if alpha is not None:
        values["model.alpha"] = per_stage(alpha, lambda text: str(check_alpha(text)))
    if beta is not None:
        values["model.beta"] = per_stage(beta, lambda text: str(check_beta(text)))
    if paths is not None:
        values["model.paths"] = per_stage(paths, lambda text: ",".join(path_names(text)))
    return values


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {key: value for key, value in values.items() if value is not None}


def precision_of(dtype: str | None) -> str | None:
    """Return the configuration's name of an element type. Raises ValueError if it is not one.

    >>> precision_of("bfloat16"), precision_of(None)
    ('bf16', None)
    """
    if dtype is None:
        return None
    check_choice("dtype", dtype, PRECISIONS)
    return PRECISIONS[dtype]


def formula_network(config: Config, size: tuple[int, int] = (32, 32)) -> ResNetDesign:
    """Return the cost model's network of a configuration."""
    model = config.model
    return named(
        model.name,
        alpha=model.alpha if len(model.alpha) == 3 else model.alpha[0],
        beta=model.beta if len(model.beta) == 3 else model.beta[0],
        paths=[path_names(names or "none") for names in model.paths * (3 // len(model.paths))],
        width_rule=model.width_rule,
        stride_rule=model.stride_rule,
        between=model.between,
        shortcut=model.shortcut,
        width=model.width,
        size=size,
    )


def check_trainable(config: Config, may_change: Sequence[str] = ()) -> None:
    """Raise ValueError if a network cannot be built here, or an --allow-change key does not exist."""
    import torch

    from pwoct.training.config import flatten

    keys = [*flatten(config), "data"]
    for key in may_change:
        if key not in keys:
            raise ValueError(f"--allow-change needs a key such as {', '.join(keys[:5])}, got {key}")
    on_cpu = config.machine.device == "cpu" or not torch.cuda.is_available()
    ranks = max(1, config.machine.ranks, ranks_started())
    if config.model.is_own:
        return  # a step on noise checks it, before anything is trained
    check_built(formula_network(config), config.batch // ranks if on_cpu else 0, training=on_cpu)


def find_run(runs: Path, name: str) -> RunFolder:
    """Return a run by its name in the folder of all runs, a unique prefix of it, or its own folder.

    Raises:
        RunError: if there is none, or several match the prefix.
    """
    from pwoct.training.record import RunError, RunFolder

    for path in (runs / name, Path(name)):
        if name and (path / "config.json").is_file():
            return RunFolder(path)
    alike = sorted(path.parent for path in runs.glob("*/config.json") if path.parent.name.startswith(name))
    if len(alike) > 1 and name:
        raise RunError(f"{name} matches several runs: {', '.join(path.name for path in alike)}")
    if not alike or not name:
        raise RunError(f"no run {name or 'without a name'} in {runs}")
    return RunFolder(alike[0])


def accuracy_columns() -> list[Column]:
    """Return the columns that every table of runs ends with."""
    return [
        Column("epoch", "epoch", "count"),
        Column("accuracy", "test accuracy %", "ratio"),
        Column("minutes", "minutes", "ratio"),
    ]


def percent(share: float | None) -> float | None:
    """Return a fraction in per cent; None for NaN, such as for a class without images."""
    return None if share is None or isnan(share) else 100 * share


def seed_list(text: str) -> list[int]:
    """Read seeds: one, several between commas, or a range with both ends.

    >>> seed_list("0-2,7")
    [0, 1, 2, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not re.fullmatch(r"\d{1,18}", first) or (dash and not re.fullmatch(r"\d{1,18}", last)):
            raise ValueError(f"seeds must be like 0, 0,3 or 0-4, and of at most 18 digits, got {text}")
        found = range(int(first), int(last or first) + 1)
        check_most("the number of seeds", len(seeds) + len(found), MOST_SEEDS)
        seeds += found
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be different, and ranges must rise, got {text}")
    return seeds


@contextmanager
def reporter(folder: Path, quiet: bool, tensorboard: bool) -> Iterator[Any]:
    """Yield the reporter of a run: none, or one that suits stderr."""
    if quiet or not is_first_rank():
        yield None
        return
    told: Any = Live() if sys.stderr.isatty() else Lines()
    if tensorboard:
        from torch.utils.tensorboard import SummaryWriter

        told = Board(told, SummaryWriter(str(folder / "tensorboard")))
    try:
        yield told
    finally:
        told.close()
