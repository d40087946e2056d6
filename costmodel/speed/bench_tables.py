"""The tables of `pwoct-cost bench`: measurements as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from costmodel.networks.resnet import ResNetDesign
from costmodel.networks.wording import stage_words
from costmodel.operators.recorder import cost_of
from costmodel.report import Column, Table
from costmodel.speed.roofline import Machine, estimate

if TYPE_CHECKING:
    from costmodel.speed.bench import BenchSetting, LayerMeasurement, Measurement

BOUNDS = ("arithmetic", "traffic", "calls")


def machine_table(machine: Machine) -> Table:
    """Return one row per ceiling of the machine."""
    rows = [
        {"ceiling": f"matrix products, {dtype}, 10⁹ MACs per second", "value": rate / 1e9}
        for dtype, rate in machine.macs_per_second.items()
    ]
    rate = machine.bytes_per_second / 1e9
    rows.append({"ceiling": "memory traffic, 10⁹ bytes per second", "value": rate})
    rows.append({"ceiling": "fixed cost per call, microseconds", "value": machine.seconds_per_call * 1e6})
    columns = [Column("ceiling", "ceiling"), Column("value", "measured", "ratio")]
    return Table("machine", "This machine", columns, rows)


def machine_values(
    machine: Machine, results: Sequence[tuple[BenchSetting, Sequence[Measurement]]]
) -> dict[str, Any]:
    """Return the machine as the explorer reads it: its ceilings, and what modules attain in each setting.

    The second result of a setting is the plain network by plan "reference", whose kernels are the library's.
    """
    attained = [
        {
            "mode": setting.mode,
            "dtype": setting.dtype,
            "batch": setting.batch,
            "plan": measured[1].plan,
            **_rates(measured[1].machine),
        }
        for setting, measured in results
    ]
    return {"ceilings": _rates(machine), "attained": attained}


def _rates(machine: Machine) -> dict[str, Any]:
    return {
        "macs_per_second": dict(machine.macs_per_second),
        "bytes_per_second": machine.bytes_per_second,
        "seconds_per_call": machine.seconds_per_call,
        "vector": machine.vector,
    }


def network_table(setting: BenchSetting, results: Sequence[Measurement]) -> Table:
    """Return one row per network; the first result is the plain network, the second its reference plan."""
    columns = [
        Column("network", "network"),
        Column("plan", "plan"),
        Column("milliseconds", "ms", "ratio"),
        Column("spread", "spread", "percent"),
        Column("predicted_milliseconds", "predicted", "ratio"),
        Column("faster", "speed-up", "ratio"),
        Column("faster_than_module", "over module", "ratio"),
        Column("macs_ratio", "MAC reduction", "ratio"),
        Column("share", "efficiency", "ratio"),
    ]
    rows = [_network_row(result, results[0], results[1]) for result in results]
    title = f"{setting.mode}, {setting.dtype}, batch {setting.batch}"
    return Table(f"{setting.mode}_{setting.dtype}", title, columns, rows)


def _network_row(result: Measurement, plain: Measurement, module: Measurement) -> dict[str, Any]:
    faster = result.timing.faster_than(plain.timing)
    macs_ratio = plain.cost.macs / result.cost.macs
    return {
        "network": describe(result.design),
        "plan": result.plan,
        "milliseconds": result.timing.median * 1e3,
        "spread": result.timing.spread,
        "predicted_milliseconds": result.predicted * 1e3,
        "faster": faster,
        "faster_than_module": result.timing.faster_than(module.timing),
        "macs_ratio": macs_ratio,
        "share": faster / macs_ratio,
    }


def describe(design: ResNetDesign) -> str:
    """Return a label that distinguishes a network from others with the same backbone.

    >>> from costmodel.networks.resnet import named
    >>> describe(named("resnet20")), describe(named("resnet20", alpha="1/4", paths=["HL"]))
    ('plain', 'alpha 1/4, HL by 2')
    >>> describe(named("resnet20", alpha=["1/4", "1/4", "1/2"]))
    'alpha 1/4+1/4+1/2'
    """
    if design.is_plain:
        return "plain"
    words = stage_words(design.stages)
    return f"alpha {words.alpha}" + (f", {words.paths} by {words.beta}" if design.is_compressed else "")


def layer_table(
    design: ResNetDesign, dtype: str, results: Sequence[LayerMeasurement], machine: Machine
) -> Table:
    """Return one row per distinct layer: work, times, share of the roofline, and the bound."""
    columns = [
        Column("layer", "layer"),
        Column("times", "times", "count"),
        Column("macs", "MACs", "count"),
        Column("bytes", "bytes", "count"),
        Column("intensity", "MAC/B", "ratio"),
        Column("calls", "calls", "count"),
        Column("reference_milliseconds", "ref ms", "ratio"),
        Column("lean_milliseconds", "lean ms", "ratio"),
        Column("plain_milliseconds", "plain ms", "ratio"),
        Column("roofline", "of roof", "ratio"),
        Column("bound", "bound by"),
    ]
    rows = [_layer_row(result, dtype, machine) for result in results]
    return Table(f"layers_{dtype}", f"Layers of {describe(design)}, forward, {dtype}", columns, rows)


def _layer_row(result: LayerMeasurement, dtype: str, machine: Machine) -> dict[str, Any]:
    cost = cost_of(result.operators)
    estimates = [estimate(operator, machine, dtype) for operator in result.operators]
    seconds = {bound: sum(e.seconds for e in estimates if e.bound == bound) for bound in BOUNDS}
    quickest = min(t.median for t in (result.reference, result.planned) if t is not None)
    milliseconds = [
        None if t is None else t.median * 1e3 for t in (result.reference, result.planned, result.plain)
    ]
    return {
        "layer": result.name,
        "times": result.times,
        "macs": cost.macs,
        "bytes": cost.bytes_read(dtype) + cost.bytes_written(dtype),
        "intensity": cost.intensity(dtype),
        "calls": cost.calls,
        "reference_milliseconds": milliseconds[0],
        "lean_milliseconds": milliseconds[1],
        "plain_milliseconds": milliseconds[2],
        "roofline": sum(seconds.values()) / quickest,
        "bound": max(seconds, key=seconds.__getitem__),
    }
