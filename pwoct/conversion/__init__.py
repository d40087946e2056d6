"""Any convolutional network with octave and pointwise octave convolutions in place of its own.

The network's own code runs unchanged: its convolutions are replaced, and an `OctaveTensor` flows between
them, which every other operator either passes on by a rule or receives as one merged tensor. Training mode,
sizes and control flow stay dynamic, unlike in a captured graph.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from pwoct.channels import Ratio
from pwoct.conversion.checks import check_network, check_patterns
from pwoct.conversion.conv import ConvertedConv
from pwoct.conversion.example import Inputs, first_that_runs, runs, shapes_of, tensors, without_data
from pwoct.conversion.options import Layers, Options, read_options
from pwoct.conversion.plan import DryRunError, plan, refused_before
from pwoct.conversion.report import Conversion, ConvSpec, LayerReport
from pwoct.conversion.tensor import OctaveTensor, merge
from pwoct.conversion.weights import carry
from pwoct.he_normal import he_normal_

__all__ = [
    "ConvSpec",
    "Conversion",
    "ConvertedConv",
    "LayerReport",
    "OctaveTensor",
    "conversion_of",
    "convert",
    "merges_output",
]


def convert(
    model: nn.Module,
    *,
    alpha: Ratio = 0,
    beta: Ratio = 2,
    paths: Iterable[str] = (),
    layers: Layers | Sequence[str] | None = None,
    width_rule: str = "out",
    stride_rule: str = "C",
    between: str = "none",
    init: str = "random",
    inputs: Inputs | None = None,
) -> nn.Module:
    """Return a copy of a network with octave layers as convolutions; the network itself stays unchanged.

    The first convolution and linear layers stay plain. In a chain of octave layers, the first has
    alpha_in = 0, the last alpha_out = 0, and neither is compressed. Bottlenecks replace dense kxk
    convolutions; 1x1 convolutions are split, and depthwise ones keep only HH and LL. Everything that is
    not replaced keeps its code and the names of its parameters. `conversion_of` lists what stays
    unchanged, and why.

    Args:
        model: Any network of two-dimensional convolutions, on any device, with any weights.
        alpha: Fraction of low channels, in [0, 1].
        beta: Compression of the bottlenecks, at least 1.
        paths: The paths that become bottlenecks: `"HL,LH"`, `"all"` or `["HL", "LH"]`.
        layers: Choices for single layers, by name pattern: `{"layer3.*": "alpha:1/2,beta:4",
            "layer4.*": "plain"}`, `{"layer3.*": {"alpha": "1/2"}}`, or as on the command line:
            `["layer3.*=alpha:1/2", "layer4.*=plain"]`. If several match, the last one applies.
        width_rule: See `PwiseOctConv`.
        stride_rule: See `OctConv`.
        between: See `PwiseOctConv`.
        init: Weights of the new layers: "random" draws them (He-normal), "pretrained" takes the original's,
        for bottlenecks by singular value decomposition.
        inputs: A shape such as (1, 3, 224, 224), a tensor, or a tuple of arguments on which the network runs;
        default: the size that timm's and pytorchcv's networks state, or one found by trial. Which
        convolutions become octave layers depends on the code that runs; the result also takes other sizes.

    Raises:
        ValueError: if an option is out of range, a pattern matches no convolution or has no effect, the
            network has no convolution, or does not run.

    Source: Chen et al., "Drop an Octave" (ICCV 2019), section 3; Inoue and Gotoh, section 5.

    >>> from pwoct.resnet import build
    >>> network = convert(build("resnet20"), alpha="1/4", beta=2, paths="HL,LH,LL")
    >>> len(conversion_of(network).converted), [layer.name for layer in conversion_of(network).kept]
    (20, ['stem'])
    """
    options = read_options(
        *(alpha, beta, paths, layers),
        width_rule=width_rule,
        stride_rule=stride_rule,
        between=between,
        init=init,
    )
    check_network(model, init)
    check_patterns(model, options)
    shapes, reports = _planned(model, inputs, options)
    result = _copied(model)
    reports = tuple(_replaced(result, report, options) for report in reports)
    if any(report.spec for report in reports):
        result.register_forward_hook(_merge_output)
    result.conversion = Conversion(reports, shapes)  # type: ignore[assignment]
    return result


def conversion_of(model: nn.Module) -> Conversion:
    """Return what was converted in a network, and what was not, with the reasons.

    Raises:
        ValueError: if the network was not converted.
    """
    found = getattr(model, "conversion", None)
    if not isinstance(found, Conversion):
        raise ValueError(f"{type(model).__name__} was not made by pwoct.convert")
    return found


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:  # the network's own code runs, and may raise anything
        raise ValueError(f"{type(model).__name__} can't be copied: {_first_line(error)}") from error


def _planned(
    model: nn.Module, inputs: Inputs | None, options: Options
) -> tuple[tuple[tuple[int, ...], ...], tuple[LayerReport, ...]]:
    """Plan on tensors without data; if the network's code needs values, on its real tensors."""
    some = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    bare = without_data(_copied(model))
    attempts = [
        (tensors(arguments, where, some.dtype), which)
        for which, where in ((bare, "meta"), (model, some.device))
        for arguments in shapes_of(inputs, model)
    ]
    refused = refused_before(model)
    try:
        args, reports = first_that_runs(
            [(args, partial(plan, net, args, options, refused)) for args, net in attempts]
        )
    except DryRunError as stopped:
        raise ValueError(_told(stopped, attempts, given=inputs is not None)) from stopped
    return tuple(tuple(x.shape) for x in args if hasattr(x, "shape")), reports


def _told(stopped: DryRunError, attempts: Sequence[tuple[list[Any], nn.Module]], *, given: bool) -> str:
    """Explain why a network can't be planned: it does not run at all, or not on maps in two branches."""
    args, model = attempts[0]
    name, why = type(model).__name__, _first_line(stopped.error)
    if any(runs(net, values) for values, net in attempts):
        after = f" after {stopped.layer}" if stopped.layer else ""
        return (
            f"{name} can't be converted: its code{after} can't take a feature map in two branches: {why}; "
            "keep the layers before it plain (layers=..., or --layers)"
        )
    on = " and ".join("x".join(map(str, x.shape)) for x in args if hasattr(x, "shape")) or "no tensor"
    advice = "" if given else "; give an input on which it runs: inputs=(1, 3, 224, 224)"
    return f"{name} does not run on {on}: {why}{advice}"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _replaced(model: nn.Module, report: LayerReport, options: Options) -> LayerReport:
    """Replace a convolution by an octave layer, under all of its names."""
    if report.spec is None:
        return report
    conv = model.get_submodule(report.name)
    assert isinstance(conv, nn.Conv2d)
    layer = ConvertedConv(report.spec, stride_rule=options.stride_rule, between=options.between)
    layer.to(conv.weight.device, conv.weight.dtype)
    he_normal_(layer)
    carried = carry(layer, conv) if options.init == "pretrained" else None
    layer.requires_grad_(conv.weight.requires_grad).train(conv.training)
    for name, module in [*model.named_modules(remove_duplicate=False)]:
        if module is conv:
            model.set_submodule(name, layer)
    return replace(report, carried=carried)


def _merge_output(_module: nn.Module, _args: Any, output: Any) -> Any:
    """Return plain tensors to the network's caller."""
    return merge(output)


def merges_output(model: nn.Module) -> bool:
    """Whether a module's only hook is that of a converted network, and its forward its class's own."""
    others = model._forward_pre_hooks or model._backward_hooks or model._backward_pre_hooks
    return [*model._forward_hooks.values()] == [_merge_output] and not others and "forward" not in vars(model)
