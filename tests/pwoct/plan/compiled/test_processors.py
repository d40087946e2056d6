"""The kernels of other processors, by `Driver`: all widths of vectors, NEON by an emulator, sanitizers.

Where a compiler or an emulator is missing, the test is skipped, but fails in CI, where it must run.
"""

import copy
import os
import random
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from pwoct.plan import with_plan
from pwoct.plan.compiled import library, operations, paths_tape, program, tape, training, weights
from tests.pwoct.networks import NETWORKS, images, network, relative_error, step
from tests.pwoct.plan.compiled.driver import OPTIONS, Driver, build
from tests.pwoct.plan.compiled.test_blocked import error_of
from tests.pwoct.plan.compiled.test_native import (
    CHANNELS,
    DTYPES,
    ERRORS,
    KERNELS,
    MAP_SIZES,
    check_convolution,
)

# Optimisation with sanitizers takes minutes to compile; checks in line or with messages take twice as long:
# undefined behaviour ends the program without a word.
SANITIZERS = (
    *("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    *("-fsanitize-undefined-trap-on-error", "--param=asan-instrumentation-with-call-threshold=0"),
)
ARM, OLDER_ARM = "-march=armv8.2-a+bf16", "-march=armv8-a"


class Processor(NamedTuple):
    """A processor, the compiler and options for it, what runs its programs, and the bytes of its vectors."""

    compiler: str
    options: tuple[str, ...]
    emulator: tuple[str, ...]
    vector: int
    flags: frozenset[str] = frozenset()  # of /proc/cpuinfo, without an emulator

    def missing(self):
        """Return what is missing here, or None."""
        for needed in (self.compiler, *self.emulator[:1]):
            if shutil.which(needed) is None:
                return f"{needed} is not installed"
        cpu = Path("/proc/cpuinfo")
        known = set(cpu.read_text().split()) if cpu.exists() else set()
        return f"this processor lacks {', '.join(self.flags - known)}" if self.flags - known else None


PROCESSORS = {
    "AVX2, sanitizers": Processor("g++", ("-march=haswell", *SANITIZERS), (), 32, frozenset({"avx2", "fma"})),
    "SSE": Processor("g++", ("-march=x86-64-v2", "-Og"), (), 16, frozenset({"sse4_2"})),
    "NEON": Processor("aarch64-linux-gnu-g++", (ARM, "-Og", "-static"), ("qemu-aarch64", "-cpu", "max"), 16),
    "NEON, float32 alone": Processor(
        "aarch64-linux-gnu-g++", (OLDER_ARM, "-Og", "-static"), ("qemu-aarch64", "-cpu", "cortex-a53"), 16
    ),
}


@pytest.fixture(scope="module", params=PROCESSORS.values(), ids=PROCESSORS)
def driver(request, tmp_path_factory):
    """The kernels for a processor, in place of the library's."""
    processor = request.param
    if (reason := processor.missing()) and (processor.flags or os.environ.get("CI") != "true"):
        pytest.skip(reason)
    program_ = build([processor.compiler], processor.options, tmp_path_factory.mktemp("driver") / "driver")
    kernels = Driver(*processor.emulator, program_)
    assert kernels.pwoct_vector_bytes() == processor.vector
    with pytest.MonkeyPatch.context() as patch:
        for module in (library, operations, paths_tape, program, tape, training, weights):
            patch.setattr(module, "load", lambda: kernels)
        patch.setattr(torch.Tensor, "data_ptr", lambda tensor: kernels.data_ptr(tensor))
        yield kernels
    kernels.close()


def small(name):
    """One of the networks, in float64; deeper with shortcut A, which may need it."""
    options = NETWORKS[name]
    return network(options, depth=14 if options.get("shortcut") == "A" else 8).double()


def some(found, count, seed=0):
    """Return a few of the cases, always the same; all of them if PWOCT_EVERY_KERNEL is set."""
    if os.environ.get("PWOCT_EVERY_KERNEL"):
        return list(found)
    return random.Random(seed).sample(list(found), count)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_convolutions(driver, dtype):
    for (kernel, geometry), channels, size in some(product(KERNELS, CHANNELS, MAP_SIZES), 60):
        check_convolution(dtype, kernel, geometry, channels, size)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_inference(driver, dtype):
    for name in some(NETWORKS, 3):
        model = small(name).eval()
        x = images((11, 13), 5)
        with torch.no_grad():
            expected = model(x)
        native = with_plan(model, "native", size=(11, 13), dtype=dtype)
        assert relative_error(native(x), expected) < ERRORS[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_low_paths_together_and_pooled_outputs_in_inference(driver, dtype):
    """On whole tiles, which the sizes above do not have."""
    model, x = network({"alpha": "1/2", "width": 16}, depth=8).double().eval(), images((16, 16), 5)
    with torch.no_grad():
        expected = model(x)
    native = with_plan(model, "native", size=(16, 16), dtype=dtype)
    assert relative_error(native(x), expected) < ERRORS[dtype]
    found = list(native.program.operations)
    assert any(one.second_channels > 0 for one in found)
    assert any(one.pooled != operations.NONE for one in found)


@pytest.mark.parametrize("name", some(NETWORKS, 3, seed=1))
def test_training(driver, name):
    model, x = small(name).train(), images((16, 16), 8)
    blocked = with_plan(copy.deepcopy(model), "blocked")
    for got, expected in zip(step(blocked, x), step(model, x), strict=True):
        error = 1e-10 * expected.abs().max().item() + 1e-11
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=error)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_training_in_few_bits(driver, dtype):
    model, x = network({"alpha": "1/2", "width": 16}, depth=8).train(), images((16, 16), 16)
    exact = step(copy.deepcopy(model).double(), x)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        got = step(with_plan(model, "blocked"), x.float())
    assert relative_error(got[0], exact[0]) < (1e-4 if dtype == torch.float32 else 0.2)
    assert error_of(got, exact) < (1e-3 if dtype == torch.float32 else 0.1)


@pytest.mark.parametrize("march", ["-march=x86-64-v4", "-march=haswell", ARM, OLDER_ARM])
def test_clang_has_no_warning(march):
    if shutil.which("clang++") is None and os.environ.get("CI") != "true":
        pytest.skip("clang++ is not installed")
    target = ("--target=aarch64-linux-gnu",) if "arm" in march else ()
    for source in library.SOURCES.glob("*.cpp"):
        command = ["clang++", *target, march, "-fsyntax-only", *OPTIONS, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
