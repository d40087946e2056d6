"""`pwoct-cost train`: trains a network, or resumes its training."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from costmodel.commands.shared.datasets import check_images, open_dataset
from costmodel.commands.shared.errors import CHECK_FAILED, UNSAVED, fail, require, say
from costmodel.commands.shared.options import given_model
from costmodel.commands.shared.own_training import config_cost
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.ranks import is_first_rank, ranks_started
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_about
from costmodel.commands.shared.terminal import at_work
from costmodel.commands.shared.training import (
    DataOption,
    RunsOption,
    accuracy_columns,
    check_trainable,
    end_by,
    formula_network,
    given,
    network_values,
    percent,
    precision_of,
    reported,
    reporter,
    seed_list,
    stoppable,
)
from costmodel.commands.shared.vocabulary import argument, option
from costmodel.report import Column, Table, counted

if TYPE_CHECKING:
    from pwoct.training.config import Config
    from pwoct.training.data import Dataset
    from pwoct.training.record import Result

app = typer.Typer(add_completion=False)


@app.command()
def train(
    ctx: typer.Context,
    model: Annotated[
        str | None, argument("model", "resnet20 (the default), ...; net.py:Net(), timm:resnet18; or --model.")
    ] = None,
    named_model: Annotated[str | None, option("model")] = None,
    alpha: Annotated[str | None, option("alpha")] = None,
    beta: Annotated[str | None, option("beta")] = None,
    paths: Annotated[str | None, option("paths")] = None,
    width_rule: Annotated[str | None, option("width-rule")] = None,
    stride_rule: Annotated[str | None, option("stride-rule")] = None,
    between: Annotated[str | None, option("between")] = None,
    shortcut: Annotated[str | None, option("shortcut")] = None,
    width: Annotated[int | None, option("width")] = None,
    classes: Annotated[int | None, option("classes")] = None,
    in_channels: Annotated[int | None, option("in-channels")] = None,
    size: Annotated[str | None, option("size")] = None,
    recipe: Annotated[str, option("recipe")] = "fast",
    config: Annotated[Path | None, option("config")] = None,
    set: Annotated[list[str] | None, option("set")] = None,
    epochs: Annotated[int | None, option("epochs")] = None,
    batch: Annotated[int | None, option("step-batch")] = None,
    lr: Annotated[float | None, option("lr")] = None,
    seeds: Annotated[str | None, option("seeds")] = None,
    dataset: Annotated[str | None, option("dataset")] = None,
    image_size: Annotated[str | None, option("image-size")] = None,
    data: DataOption = None,
    val: Annotated[bool, option("val")] = False,
    device: Annotated[str | None, option("device")] = None,
    dtype: Annotated[str | None, option("training-dtype")] = None,
    threads: Annotated[int | None, option("cpu-threads")] = None,
    ranks: Annotated[int, option("ranks", min=1, max=256)] = 1,
    compile: Annotated[bool | None, option("compile")] = None,
    plan: Annotated[str | None, option("training-plan")] = None,
    name: Annotated[str | None, option("name")] = None,
    runs: RunsOption = Path("runs"),
    checkpoint_minutes: Annotated[float, option("checkpoint-minutes", min=0)] = 5.0,
    keep: Annotated[int, option("keep", min=1)] = 2,
    from_step: Annotated[int | None, option("from-step", min=0)] = None,
    allow_change: Annotated[list[str] | None, option("allow-change")] = None,
    dry_run: Annotated[bool, option("dry-run")] = False,
    tensorboard: Annotated[bool, option("tensorboard")] = False,
    quiet: Annotated[bool, option("quiet")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Train a network; a stopped run is resumed, and the result of a finished one is shown.

    The reported accuracy is that of the last epoch, never the best on the test set.
    """
    if tensorboard:
        require("tensorboard", "tensorboard")
    if ranks > 1 and ranks_started() == 1 and not dry_run:
        _launch(Question.of(ctx), ranks, quiet)
    with stoppable() as signals, reported():
        from pwoct.training.config import compose, parse_setting
        from pwoct.training.study import ENDS_ONE_RUN
        from pwoct.training.train import train as run

        question = Question.of(ctx)
        values = {
            **dict(parse_setting(text) for text in set or []),
            **network_values(given_model(model, named_model), alpha, beta, paths),
            **given(
                {
                    "model.width_rule": width_rule,
                    "model.stride_rule": stride_rule,
                    "model.between": between,
                    "model.shortcut": shortcut,
                    "model.width": width,
                    "epochs": epochs,
                    "batch": batch,
                    "optimiser.lr": lr,
                    "data.dataset": dataset,
                    "data.image_size": image_size,
                    "data.validation": 5000 if val else None,
                    "machine.device": device,
                    "machine.precision": precision_of(dtype),
                    "machine.threads": threads,
                    "machine.compile": compile,
                    "machine.plan": plan,
                }
            ),
        }
        chosen = [values] if seeds is None else [values | {"seed": seed} for seed in seed_list(seeds)]
        configs = [compose(recipe, file=config, values=each) for each in chosen]
        folders = [runs / _name(each, name, len(configs)) for each in configs]
        check_trainable(configs[0], allow_change or [])
        if not configs[0].model.is_own:
            warn_about([formula_network(configs[0])])
        images = open_dataset(configs[0].data, data)
        check_images(images, classes=classes, in_channels=in_channels, size=size)
        if dry_run:
            with at_work("building the network and timing a few steps"):
                trial = plan_table(configs[0], images, folders[0])
            show("train", [trial], format, question.said())
            return
        options: dict[str, Any] = {
            "checkpoint_minutes": checkpoint_minutes,
            "keep": keep,
            "from_step": from_step,
            "allow_change": allow_change or [],
            "signals": signals,
        }
        results: list[Result] = []
        troubles: dict[str, Exception] = {}
        for each, folder in zip(configs, folders, strict=True):
            try:
                with reporter(folder, quiet, tensorboard) as told:
                    results.append(run(each, images, folder, reporter=told, **options))
            except ENDS_ONE_RUN as error:
                if len(configs) == 1:
                    raise
                troubles[folder.name] = error
                say(f"pwoct-cost: {folder.name}: {error}")
    if is_first_rank():
        notes = [spread(results)] if len(results) > 1 else []
        show("train", [results_table(results)], format, question.said(), notes=notes)
    tell_unwritten(results)
    end_by(troubles, len(configs))


def _launch(question: Question, ranks: int, quiet: bool) -> NoReturn:
    """Run this command as several processes, and exit with their exit code."""
    from pwoct.training.launch import KilledRankError, launch

    words = [*shlex.split(question.command_line()), *(["--quiet"] if quiet else [])]
    arguments = words[words.index("train") :]
    try:
        # -P: ignore a folder named costmodel in the current directory
        code = launch([sys.executable, "-P", "-m", "costmodel", *arguments], ranks)
    except KilledRankError as error:
        fail(f"{error}; the same command resumes the run", CHECK_FAILED)
    raise typer.Exit(code)


def tell_unwritten(results: Sequence[Result]) -> None:
    """Exit with code 6 if a run could not write its result; earlier failures to write are only reported."""
    for result in results:
        if result.failures and not result.unwritten and is_first_rank():
            times = counted(result.failures, "time")
            say(f"pwoct-cost: {result.name} could not write {times} during the run; all was written later")
    if missing := {what for result in results for what in result.unwritten}:
        fail(f"finished, but could not write: {', '.join(sorted(missing))}", UNSAVED)


def results_table(results: Sequence[Result]) -> Table:
    """Return one row per run."""
    rows = [
        {
            "name": result.name,
            "seed": result.seed,
            "parameters": result.parameters,
            "epoch": result.epoch,
            "accuracy": percent(result.accuracy),
            "minutes": result.minutes,
        }
        for result in results
    ]
    chosen_by = {result.chosen_by for result in results}
    columns = [
        Column("name", "run"),
        Column("seed", "seed", "count"),
        Column("parameters", "parameters", "count"),
        *accuracy_columns(),
    ]
    return Table("runs", f"Test accuracy ({', '.join(sorted(chosen_by))})", columns, rows)


def spread(results: Sequence[Result]) -> str:
    """Return mean and standard deviation of the accuracies of several runs, in one line."""
    shares = [100 * result.accuracy for result in results]
    return f"{len(shares)} runs: mean {mean(shares):.2f} %, standard deviation {stdev(shares):.2f} (n - 1)"


def plan_table(config: Config, images: Dataset, folder: Path) -> Table:
    """Return an estimate of a run, from a few of its steps."""
    from pwoct.training.train import try_out

    trial = try_out(config, images, folder)
    machine, seconds = trial.config.machine, trial.seconds_per_step
    h, w, channels = images.test.pixels.shape[1:]
    cost = config_cost(trial.config, (h, w, channels))
    rows = {
        "run": str(folder),
        "parameters": trial.parameters,
        "parameters by the formulas": cost.params,
        "MACs per image by the formulas": cost.macs,
        "epochs": config.epochs,
        "steps per epoch": trial.steps_per_epoch,
        "images per step": config.batch,
        "device": machine.device,
        "precision": machine.precision,
        "threads": machine.threads,
        "ranks": machine.ranks,
        "plan": machine.plan,
        "milliseconds per step": round(1000 * seconds, 1),
        "images per second": round(config.batch / seconds),
        "minutes without evaluation": round(trial.minutes, 1),
    }
    columns = [Column("what", "what"), Column("value", "value", "any")]
    return Table("plan", "Plan", columns, [{"what": key, "value": value} for key, value in rows.items()])


def _name(config: Config, name: str | None, runs: int) -> str:
    from pwoct.training.config import LONGEST_NAME, default_name

    if name is None:
        return default_name(config)
    chosen = name if runs == 1 else f"{name}-seed{config.seed}"
    if name in ("", ".", "..") or set(name) & {"/", "\\", "\0"} or len(chosen.encode()) > LONGEST_NAME:
        shown = name if len(name) < 80 else f"one of {len(name):,} characters"
        raise ValueError(f"name must be that of a folder, got {shown or 'nothing'}")
    return chosen
