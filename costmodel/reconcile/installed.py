"""Runs counters that are installed. Some leave torch patched: each belongs in a process of its own."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from costmodel.reconcile.observe import quiet


def _torch(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as mode:
        model(*args, **kwargs)
    return int(mode.get_total_flops())


def _fvcore(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    from fvcore.nn import FlopCountAnalysis

    return _analysis(FlopCountAnalysis, model, _positional(model, args, kwargs))


def _mmengine(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    from mmengine.analysis import FlopAnalyzer

    return _analysis(FlopAnalyzer, model, _positional(model, args, kwargs))


def _analysis(analyser: Any, model: nn.Module, args: Sequence[Any]) -> int:
    with _without_slashes(model):
        found = analyser(model, tuple(args))
        found.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        return int(found.total())


@contextlib.contextmanager
def _without_slashes(model: nn.Module) -> Iterator[None]:
    """Keep "/" out of the names of modules, where the scopes of a traced graph are split; ONNX has them."""
    before = {module: module._modules for module in model.modules()}
    try:
        for module, children in before.items():
            module._modules = {name.replace("/", "|"): child for name, child in children.items()}
        yield
    finally:
        for module, children in before.items():
            module._modules = children


def _mmcv(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    from mmcv.cnn.utils.flops_counter import add_flops_counting_methods

    counted: Any = add_flops_counting_methods(model)
    counted.start_flops_count()
    counted(*args, **kwargs)
    total, _ = counted.compute_average_flops_cost()
    counted.stop_flops_count()
    return int(total)


def _ptflops(backend: str) -> Callable[..., int]:
    def count(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        from ptflops import get_model_complexity_info

        inputs = args[0] if len(args) == 1 and not kwargs else _named(model, args, kwargs)
        total, _ = get_model_complexity_info(
            model, (1,), as_strings=False, print_per_layer_stat=False, backend=backend,
            input_constructor=lambda _: inputs,
        )  # fmt: skip
        if total is None:
            raise ValueError("ptflops did not finish")
        return int(total)

    return count


def _thop(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    from thop import profile

    total, _ = profile(model, _positional(model, args, kwargs), verbose=False)
    return int(total)


def _torchinfo(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    from torchinfo import summary

    found = summary(model, input_data=[*args], mode="eval", verbose=0, depth=99, device="cpu", **kwargs)
    return int(found.total_mult_adds)


def _torchprofile(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    from torchprofile import profile_macs

    return int(profile_macs(model, _positional(model, args, kwargs)))


def _calflops(unit: str) -> Callable[..., int]:
    def count(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        _without_its_own_models("calflops")
        from calflops.flops_counter import calculate_flops

        options = {"args": list(args)} if not kwargs else {"kwargs": _named(model, args, kwargs)}
        flops, macs, _ = calculate_flops(model, output_as_string=False, print_results=False, **options)
        return int(macs if unit == "MAC" else flops)

    return count


def _deepspeed(unit: str) -> Callable[..., int]:
    def count(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        from deepspeed.profiling.flops_profiler import FlopsProfiler

        profiler = FlopsProfiler(model)
        profiler.start_profile()
        try:
            model(*args, **kwargs)
            return int(profiler.get_total_macs() if unit == "MAC" else profiler.get_total_flops())
        finally:
            profiler.end_profile()

    return count


def _torchscan(total: str) -> Callable[..., int]:
    def count(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        from torchscan import crawl_module

        found = crawl_module(model, args=tuple(args), kwargs=kwargs)
        return int(found["totals"][total]["known_value"] or 0)

    return count


def _onnx_tool(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    import onnx_tool

    from costmodel.models.onnx_file import OnnxNetwork
    from costmodel.reconcile.exporting import as_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        if isinstance(model, OnnxNetwork):
            path = Path(model.place)
        else:
            as_file(model, args, kwargs, path)
        graph = onnx_tool.Model(str(path), {"verbose": False}).graph
    graph.graph_reorder_nodes()
    tensors = [t.numpy() for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    graph.shape_infer(dict(zip(graph.input, tensors, strict=False)))
    graph.profile(exclude_ops=onnx_tool.NoMacsOps)
    return int(graph.macs[0])


def _without_its_own_models(package: str) -> None:
    """Let a package's modules be imported without what its first file imports for other purposes."""
    if package not in sys.modules:
        spec = find_spec(package)
        assert spec is not None
        made: Any = types.ModuleType(package)
        made.__path__ = spec.submodule_search_locations
        sys.modules[package] = made


def _named(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return dict(inspect.signature(model.forward).bind(*args, **kwargs).arguments)


def _positional(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    if not kwargs:
        return tuple(args)
    bound = inspect.signature(model.forward).bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise ValueError("it takes only positional inputs")
    return bound.args


RUNNERS: Mapping[str, Callable[..., int]] = {
    "torch": _torch,
    "fvcore": _fvcore,
    "mmengine": _mmengine,
    "mmcv": _mmcv,
    "ptflops": _ptflops("pytorch"),
    "ptflops-aten": _ptflops("aten"),
    "thop": _thop,
    "ultralytics-thop": _thop,
    "torchinfo": _torchinfo,
    "torchprofile": _torchprofile,
    "torchscan": _torchscan("macs"),
    "torchscan-flops": _torchscan("module_flops"),
    "calflops": _calflops("FLOP"),
    "calflops-macs": _calflops("MAC"),
    "deepspeed": _deepspeed("FLOP"),
    "deepspeed-macs": _deepspeed("MAC"),
    "onnx-tool": _onnx_tool,
}


def installed_version(name: str, package: str) -> str | None:
    """Return the version of a counter that is installed and can be run; None where it is not."""
    if name not in RUNNERS:
        return None
    if name in ("thop", "ultralytics-thop"):  # they share the name under which they are imported
        return _thop_version(name)
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _thop_version(name: str) -> str | None:
    spec = find_spec("thop")
    if spec is None or spec.origin is None:
        return None
    is_old = (Path(spec.origin).parent / "fx_profile.py").is_file()
    found = "thop" if is_old else "ultralytics-thop"
    return metadata.version(name) if found == name else None


def is_same_version(one: str, other: str) -> bool:
    """Return whether two texts name one version, apart from the build.

    >>> is_same_version("0.1.1-2209072238", "0.1.1.post2209072238"), is_same_version("2.13.0+cpu", "2.13.0")
    (True, True)
    """
    first, second = (text.partition("+")[0].replace("-", ".post") for text in (one, other))
    return first == second


def run(name: str, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Run a counter on a model in eval mode, as its authors say.

    Raises whatever it raises.
    """
    torch.manual_seed(0)
    model.eval()
    with quiet(), contextlib.redirect_stdout(open(os.devnull, "w")):
        return RUNNERS[name](model, args, kwargs)
