"""`pwoct-cost bench`: measured speed of networks, with their MACs and the roofline's prediction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.errors import bad_input, say, warn
from costmodel.commands.shared.limits import check_built, check_threads
from costmodel.commands.shared.network import InputOption, InputsOption, TimeoutOption, is_own
from costmodel.commands.shared.options import MODEL_ARGUMENT, NetworkOptions, needed_model
from costmodel.commands.shared.plotting import check_plot
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_about
from costmodel.commands.shared.timing import (
    BUILT_IN_ONLY,
    OWN_ONLY,
    TimingSetting,
    ceilings,
    own_network,
    show_own,
    using_threads,
)
from costmodel.commands.shared.vocabulary import argument, option
from costmodel.commands.shared.word import CHOICES, COMPUTED
from costmodel.networks.resnet import ResNetDesign
from costmodel.report import Table, counted
from costmodel.sizes import check_choice
from costmodel.speed.bench_tables import (
    describe,
    layer_table,
    machine_table,
    machine_values,
    network_table,
)
from costmodel.speed.prediction import SNAPSHOTS
from costmodel.speed.roofline import Machine
from costmodel.speed.stopwatch import MODES, Clock

if TYPE_CHECKING:
    from costmodel.speed.bench import BenchSetting, Measurement

app = typer.Typer(add_completion=False)

QUICK_MEANS_LITTLE = "--quick times each network once, on 2 images: a smoke test, not a measurement"
TIMED = ("batch", "rounds")  # the options that --quick sets itself
QUICK_BATCH, QUICK_ROUNDS, LAYER_ROUNDS = 2, 1, 15


@app.command()
def bench(
    ctx: typer.Context,
    model: Annotated[str | None, argument("model", MODEL_ARGUMENT)] = None,
    named_model: Annotated[str | None, option("model")] = None,
    alpha: Annotated[str, option("alpha-any")] = "1/4,1/2,3/4",
    beta: Annotated[str, option("beta-any")] = "2",
    paths: Annotated[str, option("paths")] = "none",
    mode: Annotated[str, option("mode")] = "both",
    dtype: Annotated[str, option("dtypes")] = "float32",
    plan: Annotated[str, option("plan")] = "auto",
    batch: Annotated[int, option("batch", min=1)] = 128,
    rounds: Annotated[int, option("rounds", min=1)] = 9,
    cpu_time: Annotated[bool, option("cpu-time")] = False,
    threads: Annotated[int, option("threads", min=0)] = 0,
    width_rule: Annotated[str, option("width-rule")] = "out",
    stride_rule: Annotated[str, option("stride-rule")] = "C",
    between: Annotated[str, option("between")] = "none",
    shortcut: Annotated[str, option("shortcut")] = "B",
    width: Annotated[int, option("width", min=1)] = 16,
    classes: Annotated[int, option("classes", min=1)] = 10,
    in_channels: Annotated[int, option("in-channels", min=1)] = 3,
    size: Annotated[str, option("size")] = "32",
    per_layer: Annotated[bool, option("layers-timed")] = False,
    plot: Annotated[str | None, option("roofline")] = None,
    quick: Annotated[bool, option("quick")] = False,
    input: InputOption = None,
    inputs: InputsOption = None,
    timeout: TimeoutOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Time the plain network and octave networks alternately, A B A B, and show medians and ratios.

    Ratios are taken within a round. The machine's ceilings are measured first. The predicted time comes from
    a roofline and a fixed cost per call, with three parameters fitted to the networks of the run.

    Your own network (net.py:Net, timm:resnet50) is timed unchanged, and shown with its MACs and the roofline.
    """
    with bad_input():
        name, modes = needed_model(model, named_model), _modes(mode)
        question = Question.of(ctx, model=name, named_model=None)
        if is_own(name):
            own = question.without(f"applies to built-in networks, not to {name}", BUILT_IN_ONLY)
            setting = TimingSetting(modes, _clock(cpu_time, threads), rounds, threads, quick, timeout)
            chosen = batch if "batch" in own.typed else None
            timed = own_network(name, (input, inputs), chosen, setting)
            show_own(own, timed, setting, format, _hardware(threads))
            return
        question = question.without(f"needs a network of your own; got {name}", OWN_ONLY)
        if quick:
            question = question.without("cannot be used with --quick, which uses 2 images once", TIMED)
        options = NetworkOptions(
            model=name,
            alpha=alpha,
            beta=beta,
            paths=paths,
            width_rule=width_rule,
            stride_rule=stride_rule,
            between=between,
            shortcut=shortcut,
            width=width,
            classes=classes,
            in_channels=in_channels,
            size=size,
        )
        designs = _designs(options)
        warn_about(designs)
        settings = _settings(batch if not quick else QUICK_BATCH, dtype, modes, plan)
        check_threads(threads)
        for design in designs:
            check_built(design, settings[0].batch, training=any(setting.training for setting in settings))
        check_plot(plot)
        clock = _clock(cpu_time, threads)
        warn([QUICK_MEANS_LITTLE] if quick else [])
        machine, results = _run(designs, settings, QUICK_ROUNDS if quick else rounds, threads, quick, clock)
        tables = [machine_table(machine), *(network_table(*one) for one in results)]
        if per_layer:
            tables += [
                _layer_table(designs[-1], setting, machine, quick, clock) for setting in _one_mode(settings)
            ]
        if plot is not None:
            _draw(Path(plot), machine, results, options.model)
    notes = [
        "speed-up: over the plain network in the first row;",
        "over module: speed-up over the plain network by plan reference.",
        "MAC reduction: MACs of the plain network divided by those of this one;",
        "efficiency: the speed-up divided by the MAC reduction.",
    ]
    payload = {
        "model": options.model,
        "batch": settings[0].batch,
        "quick": quick,
        **_hardware(threads),
        "clock": "processor time" if cpu_time else "wall time",
        **machine_values(machine, results),
    }
    show("bench", tables, format, payload | question.said(), notes)


def _modes(mode: str) -> tuple[str, ...]:
    check_choice("mode", mode, CHOICES["mode"])
    return MODES if mode == "both" else (mode,)


def _designs(options: NetworkOptions) -> list[ResNetDesign]:
    """Return the plain network, then one network for each alpha and beta."""
    plain = options.plain()
    return [plain, *(design for design in dict.fromkeys(options.networks()) if design != plain)]


def _settings(batch: int, dtypes: str, modes: Sequence[str], plan: str) -> list[BenchSetting]:
    from costmodel.speed.bench import BenchSetting

    check_choice("plan", plan, CHOICES["plan"])
    names = dtypes.split(",")
    for name in names:
        check_choice("dtype", name, COMPUTED)
    if plan in SNAPSHOTS and "training" in modes:
        raise ValueError(f"plan {plan} has no gradients: it needs --mode inference")
    if plan == "blocked" and "inference" in modes:
        raise ValueError("plan blocked is for training: it needs --mode training")
    return [BenchSetting(batch, name, one, plan) for name in names for one in modes]


def _one_mode(settings: Sequence[BenchSetting]) -> list[BenchSetting]:
    """Return one setting per dtype; layers are timed in the forward pass only."""
    return list({setting.dtype: setting for setting in settings}.values())


def _clock(cpu_time: bool, threads: int) -> Clock:
    if cpu_time and threads != 1:
        raise ValueError(f"--cpu-time needs --threads 1, got {threads}")
    return time.thread_time if cpu_time else time.perf_counter


def _run(
    designs: Sequence[ResNetDesign],
    settings: Sequence[BenchSetting],
    rounds: int,
    threads: int,
    quick: bool,
    clock: Clock,
) -> tuple[Machine, list[tuple[BenchSetting, list[Measurement]]]]:
    from costmodel.speed.bench import bench

    with using_threads(threads):
        machine = ceilings([setting.dtype for setting in settings], quick, clock)
        results = []
        for setting in settings:
            work = f"{counted(len(designs), 'network')}, {counted(rounds, 'round')}"
            say(f"{setting.mode}, {setting.dtype}: {work}")
            results.append((setting, bench(designs, setting, machine, rounds=rounds, clock=clock)))
    return machine, results


def _layer_table(
    design: ResNetDesign, setting: BenchSetting, machine: Machine, quick: bool, clock: Clock
) -> Table:
    from costmodel.speed.bench import bench_layers

    rounds = QUICK_ROUNDS if quick else LAYER_ROUNDS
    return layer_table(
        design, setting.dtype, bench_layers(design, setting, rounds=rounds, clock=clock), machine
    )


def _draw(
    plot: Path, machine: Machine, results: Sequence[tuple[BenchSetting, list[Measurement]]], model: str
) -> None:
    from costmodel.figures.roofline import RooflinePoint, draw_roofline

    batch, dtype = results[0][0].batch, results[0][0].dtype
    points = [
        RooflinePoint(
            f"{setting.mode}: {describe(result.design)}, {result.plan}",
            float(result.cost.intensity(dtype)),
            (result.cost.macs_training if setting.training else result.cost.macs) / result.timing.median,
        )
        for setting, group in results
        if setting.dtype == dtype
        for result in group
    ]
    draw_roofline(points, machine, dtype, f"{model}, batch {batch}", plot)
    say(f"wrote {plot}")


def _hardware(threads: int) -> dict[str, Any]:
    import os
    import platform

    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads or torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
