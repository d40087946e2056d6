"""Any convolutional network with octave and pointwise octave convolutions in place of its own.

The network's own code runs as it is: its convolutions are replaced, and what flows between them is an
`OctaveTensor`, which every other operator passes on by a rule or gets as one merged tensor. Training mode,
sizes and control flow stay alive, as they would not in a graph that was captured once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from pwoct.channels import Ratio
from pwoct.conversion.conv import ConvertedConv
from pwoct.conversion.example import Inputs, first_that_runs, shapes_of, tensors, without_data
from pwoct.conversion.options import Layers, Options, read_options
from pwoct.conversion.plan import plan
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
]


def convert(
    model: nn.Module,
    *,
    alpha: Ratio = 0,
    beta: Ratio = 2,
    paths: Iterable[str] = (),
    layers: Layers | None = None,
    width_rule: str = "out",
    stride_rule: str = "C",
    between: str = "none",
    init: str = "random",
    inputs: Inputs | None = None,
) -> nn.Module:
    """Return a copy of a network whose convolutions are octave layers; the network itself is left as it is.

    The first convolution and linear layers stay plain. The first octave layer of a row has alpha_in = 0, the
    last alpha_out = 0, and neither is compressed. Bottlenecks take the place of dense kxk convolutions; 1x1
    convolutions are divided, and depthwise ones keep HH and LL alone. Everything that is not replaced keeps
    its code and the names of its parameters. `conversion_of` tells what stays as it is, and why.

    Args:
        model: any network of two-dimensional convolutions, on any device, with any weights.
        alpha: share of low channels, in [0, 1].
        beta: compression of the bottlenecks, at least 1.
        paths: the paths that become bottlenecks: `"HL,LH"`, `"all"` or `["HL", "LH"]`.
        layers: choices of single layers, by patterns of their names: `{"layer3.*": "alpha:1/2,beta:4",
            "layer4.*": "plain"}` or `{"layer3.*": {"alpha": "1/2"}}`; of several that fit, the last counts.
        width_rule: see `PwiseOctConv`.
        stride_rule: see `OctConv`.
        between: see `PwiseOctConv`.
        init: weights of the new layers: "random" draws them (He-normal), "pretrained" carries the original's
            over, for a bottleneck by singular value decomposition.
        inputs: a shape such as (1, 3, 224, 224), a tensor, or a tuple of arguments on which the network runs;
            by default what timm's and pytorchcv's networks say, or a size that is found by trying. Which
            convolutions are octave layers depends on what runs; the result takes other sizes too.

    Raises:
        ValueError: if an option is out of its range, a pattern fits no convolution, or the network does not
            run.

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
    _check_patterns(model, options)
    shapes, reports = _planned(model, inputs, options)
    result = copy.deepcopy(model)
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


def _check_patterns(model: nn.Module, options: Options) -> None:
    convs = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    for pattern, changes in options.layers:
        named = [conv for name, conv in convs.items() if fnmatchcase(name, pattern)]
        if not named:
            some = ", ".join([*convs][:6])
            raise ValueError(f"layers: no convolution has a name like {pattern!r}; there are {some}, ...")
        if changes.get("paths") and all(conv.groups > 1 or set(conv.kernel_size) == {1} for conv in named):
            paths = ",".join(changes["paths"])
            raise ValueError(
                f"layers: {pattern!r} asks for bottlenecks ({paths}), but names 1x1 or grouped convolutions "
                "alone; a bottleneck takes the place of a kxk convolution without groups"
            )


def _planned(
    model: nn.Module, inputs: Inputs | None, options: Options
) -> tuple[tuple[tuple[int, ...], ...], tuple[LayerReport, ...]]:
    """Plan on tensors without data; where the network's code needs values, on those that it has."""
    device = next((p.device for p in model.parameters()), "cpu")
    bare = without_data(model)
    attempts = [
        (tensors(arguments, where), which)
        for which, where in ((bare, "meta"), (model, device))
        for arguments in shapes_of(inputs, model)
    ]
    try:
        args, reports = first_that_runs(
            [(args, lambda net=net, args=args: plan(net, args, options)) for args, net in attempts]  # type: ignore[misc]
        )
    except Exception as error:
        raise ValueError(_told(model, error, attempts[0][0], given=inputs is not None)) from error
    return tuple(tuple(x.shape) for x in args if hasattr(x, "shape")), reports


def _told(model: nn.Module, error: Exception, args: list[Any], *, given: bool) -> str:
    lines = str(error).splitlines() or [""]
    on = " and ".join("x".join(map(str, x.shape)) for x in args if hasattr(x, "shape")) or "no tensor"
    advice = "" if given else "; give an input on which it runs: inputs=(1, 3, 224, 224)"
    return f"{type(model).__name__} does not run on {on}: {type(error).__name__}: {lines[0]}{advice}"


def _replaced(model: nn.Module, report: LayerReport, options: Options) -> LayerReport:
    """Put an octave layer in a convolution's place, under all of its names."""
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
    """Give whoever calls the network plain tensors."""
    return merge(output)
