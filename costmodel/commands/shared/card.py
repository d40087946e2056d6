"""The model card of a trained network: its architecture, training, accuracy and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from costmodel.commands.shared.own_training import config_cost
from costmodel.report import counted

if TYPE_CHECKING:
    from pwoct.training.loading import TrainedRun


def card(run: TrainedRun, sessions: list[dict[str, Any]], files: Mapping[str, str]) -> str:
    """Return the card in Markdown.

    files: The exported files by name, with their SHA-256.
    """
    parts = (_head(run), _input(run), _accuracy(run), _cost(run), _training(run, sessions), _files(files))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(run: TrainedRun) -> Iterator[str]:
    model = run.config.model
    yield f"# {run.name}"
    yield ""
    width = "" if model.is_own else f" of width {model.width}"
    yield f"A {model.name}{width} that classifies {run.config.data.dataset} into"
    yield f"{len(run.classes)} classes: {', '.join(run.classes)}."
    if model.alpha != ("0",):
        yield f"Octave convolution with alpha {', '.join(model.alpha)}."
    if model.paths != ("",):
        yield f"Bottlenecks on {' / '.join(model.paths)}, beta {', '.join(model.beta)}."


def _input(run: TrainedRun) -> Iterator[str]:
    h, w, channels = run.shape
    yield "## Input and output"
    yield ""
    yield f"Images (n, {channels}, {h}, {w}), float32 from 0 to 255, channels in the order red, green, blue."
    if run.normalise.mean.dim() == 1:
        mean, scale = (
            ", ".join(f"{x:.4f}" for x in v.tolist()) for v in (run.normalise.mean, run.normalise.scale)
        )
        yield f"The network subtracts the means {mean} of the channels and divides by {scale} itself."
    else:
        yield "The network subtracts the mean image of its training set and divides by 255 itself."
    yield f"It returns logits (n, {len(run.classes)})."


def _accuracy(run: TrainedRun) -> Iterator[str]:
    yield "## Accuracy"
    yield ""
    if (result := run.result) is None:
        yield "The run is not finished: these are the weights of its newest checkpoint, and were not tested."
        return
    yield f"{100 * result.accuracy:.2f} % of {result.images:,} test images ({result.correct:,})."
    yield f"Epoch {result.epoch} of {result.epochs}, chosen by: {result.chosen_by}; seed {result.seed}."


def _cost(run: TrainedRun) -> Iterator[str]:
    cost = config_cost(run.config, run.shape)
    yield "## Cost, by the formulas"
    yield ""
    yield "| parameters | MACs per image | activations |"
    yield "| ---: | ---: | ---: |"
    yield f"| {cost.params:,} | {cost.macs:,} | {cost.activations:,} |"
    yield ""
    yield "MACs of convolutions and linear layers, taps on padding counted."


def _training(run: TrainedRun, sessions: list[dict[str, Any]]) -> Iterator[str]:
    config, last = run.config, sessions[-1]
    yield "## Training"
    yield ""
    yield f"* Recipe `{config.recipe}`: {config.optimiser.name}, peak learning rate {config.optimiser.lr:g},"
    yield f"  batch {config.batch}, {counted(config.epochs, 'epoch')}, seed {config.seed}."
    yield f"* Data: {config.data.dataset}, fingerprint {last['data']}."
    yield f"* {last['cpu']}, {config.machine.precision}, execution plan `{config.machine.plan}`."
    versions = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    yield f"* {versions}; commit {last['commit'] or 'unknown'}."


def _files(files: Mapping[str, str]) -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "| file | SHA-256 |"
    yield "| --- | --- |"
    yield from (f"| {name} | {digest} |" for name, digest in files.items())
