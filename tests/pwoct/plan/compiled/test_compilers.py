"""Compilers that are missing, fail, or lack OpenMP."""

import copy
import shlex
import sys

import pytest
import torch

from pwoct.plan import plan_for, with_plan
from pwoct.plan.compiled import compiler, library
from pwoct.resnet import resnet
from tests.pwoct.networks import images, needs_compiler, network, step
from tests.pwoct.plan.compiled.conftest import clear

pytestmark = [needs_compiler, pytest.mark.usefixtures("forget")]


def test_there_is_no_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(
        ValueError,
        match=r"does not run here: it needs a C\+\+ compiler, and no-such-compiler is not installed",
    ):
        with_plan(resnet(8), "native")
    assert plan_for(resnet(8), (128, 3, 32, 32), torch.float32, training=False) == "folded"


def test_it_fails(monkeypatch):
    monkeypatch.setenv("CXX", f"{sys.executable} -c 'import sys; sys.exit(1)'")
    with pytest.raises(ValueError, match=r"does not run here: .* -march=native .* failed: "):
        with_plan(resnet(8), "native")


def test_a_compiler_that_crashes_is_reported_once(monkeypatch, tmp_path, caplog):
    """As Clang 16 does: one line names the error, more follow, and the plan of the library is chosen."""
    script = tmp_path / "c++"
    script.write_text(
        'case "$*" in *-dM*|*" -x c++ -"*) exit 0 ;; esac\n'
        'echo "fatal error: error in backend: Cannot select: t42" >&2\n'
        'echo "PLEASE submit a bug report" >&2; exit 139\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("CXX", f"sh {script}")
    monkeypatch.setattr(library.pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    shape = (128, 3, 32, 32)
    assert plan_for(resnet(8), shape, torch.float32, training=True) == "lean"
    assert plan_for(resnet(8), shape, torch.float32, training=False) == "folded"
    (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
    message = record.getMessage()
    assert message.startswith("there are no kernels for this processor, so networks are slower: sh ")
    assert message.endswith("failed: fatal error: error in backend: Cannot select: t42")


@pytest.mark.parametrize(("installed", "chosen"), [(("g++", "c++"), "g++"), (("c++",), "c++"), ((), "c++")])
def test_gcc_is_preferred(monkeypatch, installed, chosen):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiler.shutil, "which", lambda name: name if name in installed else None)
    assert compiler.compiler() == [chosen]
    monkeypatch.setenv("CXX", "clang++ -O1")
    assert compiler.compiler() == ["clang++", "-O1"]


def test_it_says_what_is_wrong(monkeypatch, tmp_path, cache):
    (tmp_path / "kernels.cpp").write_text("int main() { return }")
    monkeypatch.setattr(library, "SOURCES", tmp_path)
    with pytest.raises(library.CompilerError, match=r"failed: .*error"):
        library.load()
    assert not list(cache.rglob("*.so"))


@pytest.mark.usefixtures("one_thread")
def test_kernels_without_openmp(monkeypatch, tmp_path, cache):
    """Threads of the language compute the same, by the same quick compilation: others may round."""
    monkeypatch.undo()
    monkeypatch.setattr(library, "OPTIONS", ("-O0", *library.OPTIONS[1:]))
    monkeypatch.setattr(library.pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    clear()
    model, x = network({"alpha": "1/2"}, depth=8).eval(), images((16, 16), 40).float()
    torch.set_num_threads(3)
    expected = computed(model, x)
    assert hasattr(library.load(), "GOMP_parallel")
    command = tmp_path / "c++"
    command.write_text(
        'for word; do [ "$word" = -fopenmp ] && echo "error: no OpenMP" >&2 && exit 1; done\n'
        f'exec {shlex.join(library.compiler())} "$@"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("CXX", f"sh {command}")
    clear()
    assert not hasattr(library.load(), "GOMP_parallel")
    for got, wanted in zip(computed(model, x), expected, strict=True):
        assert torch.equal(got, wanted)


def computed(model, x):
    native, twin = with_plan(model, "native", size=(16, 16)), copy.deepcopy(model).train()
    return [native(x), *step(with_plan(twin, "blocked"), x[:32])]


def test_the_cache_cannot_be_used(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(library.pooch, "os_cache", lambda name: tmp_path / "file" / name)
    with pytest.raises(ValueError, match=r"does not run here: the kernels cannot be stored in .*file"):
        with_plan(resnet(8), "native")


def test_a_type_that_no_kernel_has():
    with pytest.raises(ValueError, match="compute in float32, float64, bfloat16, not in float16"):
        with_plan(resnet(8), "native", dtype=torch.float16)
