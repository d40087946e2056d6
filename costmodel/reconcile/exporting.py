"""Networks as ONNX files, for counters that read these: exported by torch, and read without weights."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import nn

from costmodel.failures import told
from costmodel.models.onnx_file import OnnxNetwork, onnx_module
from costmodel.reconcile.bridge import DifferenceTerm, Prediction, predict
from costmodel.reconcile.described import tensors_in
from costmodel.reconcile.events import Seen
from costmodel.reconcile.observe import observe, quiet
from costmodel.reconcile.rules import Rules


def as_file(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], path: Path) -> None:
    """Write a network as an ONNX file, by torch's exporter that follows a trace.

    Raises whatever the exporter raises.
    """
    given = inspect.signature(model.forward).bind(*args, **kwargs)
    with quiet(), _silent():
        torch.onnx.export(
            model.eval(), given.args, str(path), kwargs=given.kwargs or None, dynamo=False, verbose=False
        )


def observe_exported(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Seen:
    """Return what runs in the file of a network: its nodes, with what torch runs for each of them.

    A network that comes from a file is that file. Any other needs its weights: it is exported.

    Raises ValueError if it can't be exported, and MissingLibraryError without onnx.
    """
    if isinstance(model, OnnxNetwork):
        return observe(model, args, kwargs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        try:
            as_file(model, args, kwargs or {}, path)
        except Exception as error:  # the exporter and the network's own code may raise anything
            raise ValueError(f"torch can't export the network: {told(error)}") from error
        network = onnx_module(str(path))
    return observe(network, tensors_in((args, kwargs or {})))


def predict_exported(observed: Seen, exported: Seen, counter: Rules) -> Prediction:
    """Return what a counter says of a network's file, with the terms by which it differs from our MACs.

    Raises ValueError if a rule meets shapes that it has no price for.
    """
    found = predict(_in_place(exported, observed), counter)
    ours = observed.macs * counter.macs_per_unit
    if ours == found.ours:
        return found
    what = "matrix products that differ in the exported file"
    term = DifferenceTerm(what, Fraction(found.ours - ours), Fraction(found.ours), 1)
    return replace(found, ours=ours, terms=(*found.terms, term))


def _in_place(exported: Seen, observed: Seen) -> Seen:
    """Return what ran in a file, each event in the module of the network that it was exported from."""
    events = tuple(
        event if event.module in observed.modules else replace(event, module=_module(event.module, observed))
        for event in exported.events
    )
    return replace(exported, events=events, modules={**exported.modules, **observed.modules})


def _module(node: str, observed: Seen) -> str:
    """Return the module that a node comes from: the exporter names nodes by scopes, others by their weights.

    "/layer1/layer1.0/conv1/Conv" comes from layer1.0.conv1; a module that runs again is called `conv1_2`.
    """
    path = ""
    for scope in node.split("/")[1:-1]:
        path = scope if scope.startswith(f"{path}.") else f"{path}.{scope}".lstrip(".")
    for found in (path, re.sub(r"_\d+$", "", path or node)):
        if found in observed.modules:
            return found
    return ""


def predict_alone(
    counter: Rules, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
) -> tuple[Seen, Prediction]:
    """Run a module, or the file that it is exported to, and return what ran and what a counter says of it.

    Raises ValueError if it does not run, can't be exported, or has no price.
    """
    observed = observe(model, args, kwargs)
    if not counter.reads_files:
        return observed, predict(observed, counter)
    return observed, predict_exported(observed, observe_exported(model, args, kwargs), counter)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep from the user what an exporter prints and logs; some of it comes from C++, past sys.stdout."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            os.dup2(nowhere.fileno(), 1)
            with contextlib.redirect_stderr(nowhere):
                yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        logging.disable(before)
