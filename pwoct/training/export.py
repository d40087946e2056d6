"""Exports trained networks to ONNX, torch.export and safetensors. They take images as they are stored."""

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from pwoct.training.checkpoint import write_atomically
from pwoct.training.loading import Classifier, TrainedRun

CLOSE = 1e-4  # of logits, relative to the largest: other programs sum in a different order


class ExportError(Exception):
    """The exported program does not compute the same outputs as the network."""


def export_onnx(run: TrainedRun, path: Path) -> None:
    """Write the classifier as ONNX, for any batch of images of the run's size.

    Needs onnx, onnxscript, and onnxruntime, which checks the file.

    Raises:
        ExportError: if onnxruntime computes different outputs.
    """
    import onnxruntime

    classifier, images = run.classifier(), example(run)
    with _quiet():
        program = torch.onnx.export(
            classifier,
            (images,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # written separately, since the exporter does not write it
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    _compare(
        "ONNX",
        classifier,
        images,
        lambda x: torch.from_numpy(session.run(None, {"images": x.numpy()})[0]),
    )
    write_atomically(path, content)


def export_program(run: TrainedRun, path: Path) -> None:
    """Write the classifier with `torch.export`, for any batch of images of the run's size.

    Raises:
        ExportError: if the program computes different outputs.
    """
    classifier, images = run.classifier(), example(run)
    with _quiet():
        shapes = ({0: torch.export.Dim("n")},)
        program = torch.export.export(classifier, (images,), dynamic_shapes=shapes)
        file = io.BytesIO()
        torch.export.save(program, file)
        loaded = torch.export.load(io.BytesIO(file.getvalue())).module()
    _compare("torch.export", classifier, images, loaded)
    write_atomically(path, file.getvalue())


def export_weights(run: TrainedRun, path: Path) -> None:
    """Write weights, mean and scale as safetensors; the header gives network, classes and image shape.

    Raises:
        ExportError: if the network computes different outputs with the tensors that were written.
    """
    classifier = run.classifier()
    tensors = {name: value.contiguous() for name, value in classifier.state_dict().items()}
    config = run.config.model_dump(mode="json")
    facts = {"network": config["model"], "classes": run.classes, "shape": run.shape, "run": run.name}
    stored = to_safetensors(tensors, {key: json.dumps(value) for key, value in facts.items()})
    content = _with_sorted_header(stored)
    restored = copy.deepcopy(classifier)
    restored.load_state_dict(from_safetensors(content))
    _compare("safetensors", classifier, example(run), restored)
    write_atomically(path, content)


def _with_sorted_header(stored: bytes) -> bytes:
    """Return a safetensors file with its header in the order of its keys: the library's order is random.

    The format: the length of the header in 8 bytes, the header as JSON padded to a multiple of 8, the data.
    """
    length = int.from_bytes(stored[:8], "little")
    header = json.dumps(json.loads(stored[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + stored[8 + length :]


def example(run: TrainedRun) -> Tensor:
    """Return two fixed images of noise, float32 from 0 to 255."""
    h, w, channels = run.shape
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, channels, h, w), generator=generator).float()


def _compare(what: str, classifier: Classifier, images: Tensor, other: Callable[..., Tensor]) -> None:
    """Check an exported program on three images, a different batch size than it was traced with."""
    three = torch.cat([images, images.flip(3)[:1]])
    with torch.no_grad():
        expected, found = classifier(three), other(three)
    if found.shape != expected.shape or not (found - expected).abs().max() <= CLOSE * expected.abs().max():
        raise ExportError(f"{what}: the exported program does not compute the same outputs as the network")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters' own messages."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
