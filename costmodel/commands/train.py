"""`pwoct-cost train`: trains a network, or resumes its training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.commands.shared.errors import UNSAVED, require, say
from costmodel.commands.shared.reading import AlphaOption
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_rounding
from costmodel.commands.shared.terminal import at_work
from costmodel.commands.shared.training import (
    DataOption,
    RunsOption,
    accuracy_columns,
    check_trainable,
    formula_network,
    given,
    is_first_rank,
    network_values,
    open_dataset,
    percent,
    reported,
    reporter,
    seed_list,
)
from costmodel.operators.recorder import cost_of
from costmodel.report import Column, Table, counted

if TYPE_CHECKING:
    from pwoct.training.config import Config
    from pwoct.training.data import Dataset
    from pwoct.training.record import Result

app = typer.Typer(add_completion=False)


@app.command()
def train(
    model: Annotated[str | None, typer.Argument(help="resnet20 (the default), ..., resnet(6n+2).")] = None,
    alpha: AlphaOption = None,
    beta: Annotated[str | None, typer.Option(help="Compression of the bottlenecks; as for `verify`.")] = None,
    paths: Annotated[str | None, typer.Option(help="Paths that are bottlenecks; as for `verify`.")] = None,
    recipe: Annotated[str, typer.Option(help="fast, paper or keras.")] = "fast",
    config: Annotated[Path | None, typer.Option(help="TOML file that overrides the recipe.")] = None,
    set: Annotated[
        list[str] | None, typer.Option(help="key=value, such as optimiser.lr=0.1; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step, over all ranks.")] = None,
    lr: Annotated[float | None, typer.Option(help="The learning rate at its highest.")] = None,
    seeds: Annotated[
        str | None, typer.Option("--seed", "--seeds", help="One, several, a range: 0-4.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="cifar10 or synthetic.")] = None,
    data: DataOption = None,
    val: Annotated[
        bool, typer.Option("--val", help="Hold out 5,000 training images; they choose the epoch.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; found by itself.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16; found by itself.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores by itself.")] = None,
    compile: Annotated[
        bool | None, typer.Option("--compile", help="Use torch.compile; needs a C++ compiler.")
    ] = None,
    plan: Annotated[
        str | None, typer.Option(help="Execution plan: reference, lean or blocked; the best by itself.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run; follows from the options by itself.")
    ] = None,
    runs: RunsOption = Path("runs"),
    checkpoint_minutes: Annotated[float, typer.Option(min=0, help="Most time that a crash can cost.")] = 5.0,
    allow_change: Annotated[
        list[str] | None, typer.Option(help="Key that may differ from the run's; repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build, count, time a step, print the plan.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard files too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the result alone.")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Train a network; a run that was stopped is resumed, one that is finished is shown.

    Its last epoch counts, never its best on the test set.
    """
    if tensorboard:
        require("tensorboard", "tensorboard")
    with reported():
        from pwoct.training.config import compose, parse_setting
        from pwoct.training.train import train as run

        values = {
            **dict(parse_setting(text) for text in set or []),
            **network_values(model, alpha, beta, paths),
            **given(
                {
                    "epochs": epochs,
                    "batch": batch,
                    "optimiser.lr": lr,
                    "data.dataset": dataset,
                    "data.validation": 5000 if val else None,
                    "machine.device": device,
                    "machine.precision": precision,
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
        warn_rounding([formula_network(configs[0])])
        images = open_dataset(configs[0].data.dataset, data)
        if dry_run:
            with at_work("building the network and timing a few steps"):
                trial = plan_table(configs[0], images, folders[0])
            show("train", [trial], format)
            return
        results = []
        for each, folder in zip(configs, folders, strict=True):
            with reporter(folder, quiet, tensorboard) as told:
                results.append(
                    run(
                        each,
                        images,
                        folder,
                        reporter=told,
                        checkpoint_minutes=checkpoint_minutes,
                        allow_change=allow_change or [],
                    )
                )
    if is_first_rank():
        notes = [spread(results)] if len(results) > 1 else []
        show("train", [results_table(results)], format, notes=notes)
    if failures := sum(result.failures for result in results):
        say(f"pwoct-cost: error: finished, but could not write {counted(failures, 'time')}")
        raise typer.Exit(UNSAVED)


def results_table(results: Sequence[Result]) -> Table:
    """Return a row a run."""
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
    """Return what a run would be, from a few of its steps."""
    from pwoct.training.train import try_out

    trial = try_out(config, images, folder)
    machine, seconds = trial.config.machine, trial.seconds_per_step
    cost = cost_of(formula_network(trial.config).operators())
    rows = {
        "run": str(folder),
        "parameters": trial.parameters,
        "parameters by the formulas": cost.params,
        "MACs an image by the formulas": cost.macs,
        "epochs": config.epochs,
        "steps an epoch": trial.steps_per_epoch,
        "images a step": config.batch,
        "device": machine.device,
        "precision": machine.precision,
        "threads": machine.threads,
        "ranks": machine.ranks,
        "plan": machine.plan,
        "milliseconds a step": round(1000 * seconds, 1),
        "images a second": round(config.batch / seconds),
        "minutes without evaluation": round(trial.minutes, 1),
    }
    columns = [Column("what", "what"), Column("value", "value", "any")]
    return Table("plan", "Plan", columns, [{"what": key, "value": value} for key, value in rows.items()])


def _name(config: Config, name: str | None, runs: int) -> str:
    from pwoct.training.config import default_name

    if name is None:
        return default_name(config)
    if Path(name).name != name:
        raise ValueError(f"name must be that of a folder, got {name}")
    return name if runs == 1 else f"{name}-seed{config.seed}"
