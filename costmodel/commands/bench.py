"""`pwoct-cost bench`: how fast networks run, beside their MACs and what the roofline predicts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared import reading
from costmodel.commands.shared.errors import bad_input, say, warn
from costmodel.commands.shared.plotting import check_plot
from costmodel.commands.shared.reading import AlphaOption, BetaOption, PathsOption
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_rounding
from costmodel.networks.resnet import ResNetDesign, named
from costmodel.report import Table, counted
from costmodel.rounding import check_alpha, check_beta
from costmodel.sizes import check_choice
from costmodel.speed.bench_tables import describe, layer_table, machine_table, network_table
from costmodel.speed.prediction import PLANS
from costmodel.speed.roofline import Machine
from costmodel.speed.stopwatch import Clock

if TYPE_CHECKING:
    from costmodel.speed.bench import BenchSetting, Measurement

app = typer.Typer(add_completion=False)

DTYPES = ("float32", "bfloat16")
MODES = ("inference", "training", "both")
QUICK_MEANS_LITTLE = "--quick times each network once, on 2 images: it shows that all runs, not how fast"
QUICK_BATCH, QUICK_ROUNDS, LAYER_ROUNDS = 2, 1, 15


@app.command()
def bench(
    model: Annotated[str, typer.Argument(help="resnet20, resnet56, ...")],
    alpha: AlphaOption = "1/4,1/2,3/4",
    beta: BetaOption = "2",
    paths: PathsOption = "none",
    mode: Annotated[str, typer.Option(help="inference, training or both.")] = "both",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or both, joined by a comma.")] = "float32",
    plan: Annotated[
        str, typer.Option(help="How networks are computed: auto, reference, lean, blocked, folded or native.")
    ] = "auto",
    batch: Annotated[int, typer.Option(help="Images in a batch.", min=1)] = 128,
    rounds: Annotated[int, typer.Option(help="How often each network is timed.", min=1)] = 9,
    cpu_time: Annotated[
        bool,
        typer.Option("--cpu-time", help="Time what one thread computes, not the wall: for a busy machine."),
    ] = False,
    threads: Annotated[int, typer.Option(help="Threads; 0: as many as torch takes.", min=0)] = 0,
    width: Annotated[int, typer.Option(help="Channels of the first stage.", min=1)] = 16,
    size: Annotated[str, typer.Option(help="Input size: 32 or 32x48.")] = "32",
    stride_rule: Annotated[str, typer.Option(help="Where a stride acts: A, B or C.")] = "C",
    between: Annotated[str, typer.Option(help="Inside a bottleneck: none, bn or bn_relu.")] = "none",
    per_layer: Annotated[
        bool, typer.Option("--per-layer", help="A row a distinct layer of the last network.")
    ] = False,
    plot: Annotated[str | None, typer.Option(help="Draw a roofline into this .svg, .png or .pdf.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny: to see that all runs, not how fast.")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Time the plain network and octave networks in turns, A B A B, and show medians and ratios.

    Ratios are taken inside a round. The machine's ceilings are measured first; the predicted time is that of
    a roofline and a price a call, fitted to the networks of the run by three numbers.
    """
    with bad_input():
        designs = _designs(
            model, alpha, beta, paths, width, reading.sides(size, "size"), stride_rule, between
        )
        warn_rounding(designs)
        settings = _settings(batch if not quick else QUICK_BATCH, dtype, mode, plan)
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
            _draw(Path(plot), machine, results, settings[0].dtype)
    notes = [
        "speed: how many times as fast as the plain network in the first row;",
        "vs module: as the plain network by plan reference.",
        "MACs: how many times fewer; share: speed over MACs.",
    ]
    payload = {"model": model, "batch": settings[0].batch, "quick": quick, **_hardware()}
    show("bench", tables, format, payload, notes)


def _designs(
    model: str,
    alpha: str | None,
    beta: str,
    paths: str,
    width: int,
    size: Any,
    stride_rule: str,
    between: str,
) -> list[ResNetDesign]:
    """The plain network, then one network for each alpha and beta."""
    options = {"width": width, "size": size, "stride_rule": stride_rule, "between": between}
    plain = named(model, **options)
    chosen = reading.per_stage(paths, reading.path_names)
    given = [
        named(model, alpha=a, beta=b, paths=chosen, **options)
        for a in _values(alpha or "0", reading.alphas, check_alpha)
        for b in _values(beta, reading.betas, check_beta)
    ]
    return [plain, *(design for design in dict.fromkeys(given) if design != plain)]


def _values(text: str, read_list: Any, read_one: Any) -> list[Any]:
    if reading.STAGE_SEPARATOR in text:
        return [reading.per_stage(text, read_one)]
    return list(read_list(text))


def _settings(batch: int, dtypes: str, mode: str, plan: str) -> list[BenchSetting]:
    from costmodel.speed.bench import BenchSetting

    check_choice("mode", mode, MODES)
    check_choice("plan", plan, ("auto", *PLANS))
    names = dtypes.split(",")
    for name in names:
        check_choice("dtype", name, DTYPES)
    modes = ("inference", "training") if mode == "both" else (mode,)
    if plan in ("folded", "native") and "training" in modes:
        raise ValueError(f"plan {plan} has no gradients: it needs --mode inference")
    if plan == "blocked" and "inference" in modes:
        raise ValueError("plan blocked is for training: it needs --mode training")
    return [BenchSetting(batch, name, one, plan) for name in names for one in modes]


def _one_mode(settings: Sequence[BenchSetting]) -> list[BenchSetting]:
    """One setting a dtype: layers are timed forward only."""
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
    import torch

    from costmodel.speed.bench import bench
    from costmodel.speed.ceilings import measure_machine
    from pwoct.training.device import keep_freed_memory

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        keep_freed_memory()
        machine = measure_machine(sorted({setting.dtype for setting in settings}), quick=quick, clock=clock)
        results = []
        for setting in settings:
            work = f"{counted(len(designs), 'network')}, {counted(rounds, 'round')}"
            say(f"{setting.mode}, {setting.dtype}: {work}")
            results.append((setting, bench(designs, setting, machine, rounds=rounds, clock=clock)))
    finally:
        torch.set_num_threads(before)
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
    plot: Path, machine: Machine, results: Sequence[tuple[BenchSetting, list[Measurement]]], dtype: str
) -> None:
    from costmodel.figures.roofline import RooflinePoint, draw_roofline

    points = [
        RooflinePoint(
            f"{setting.mode}: {describe(result.design)}",
            float(result.cost.intensity(dtype)),
            (result.cost.macs_training if setting.training else result.cost.macs) / result.timing.median,
        )
        for setting, group in results
        if setting.dtype == dtype
        for result in group
    ]
    draw_roofline(points, machine, dtype, plot)
    say(f"wrote {plot}")


def _hardware() -> dict[str, Any]:
    import os
    import platform

    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
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
