"""Kernels are compiled once, and loaded only if they are what was compiled; compilers end with their caller.

Most tests use a compiler that copies the machine's kernels, compiled once.
"""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pwoct.plan.compiled import compiler, library
from tests.pwoct.networks import needs_compiler
from tests.pwoct.plan.compiled.conftest import clear

FAKE = """
echo "$*" >> {log}
case "$*" in
  *-dM*) case "$*" in *-fopenmp*) {openmp} ;; esac; echo "#define ANYTHING"; exit 0 ;;
  *" -x c++ -"*) {link}; exit 0 ;;
esac
{build}
while [ "$1" != -o ]; do shift; done
cp {kernels} "$2"
"""


@pytest.fixture(scope="module")
def kernels():
    """The machine's own kernels."""
    clear()
    return Path(library.load()._name)


@pytest.fixture
def fake(monkeypatch, tmp_path, kernels, cache):
    """Set a compiler that copies; return what it was asked for so far."""
    log = tmp_path / "log"

    def be(openmp=":", link=":", build=":"):
        script = tmp_path / "c++"
        script.write_text(
            FAKE.format(log=log, openmp=openmp, link=link, build=build, kernels=kernels), encoding="utf-8"
        )
        monkeypatch.setenv("CXX", f"sh {script}")
        return lambda: log.read_text().splitlines() if log.exists() else []

    return be


def builds(asked):
    return [line for line in asked() if "-shared" in line and "-x c++" not in line]


pytestmark = [needs_compiler, pytest.mark.usefixtures("forget")]


def test_kernels_are_kept_for_the_user_alone(fake, cache, caplog):
    asked = fake()
    with caplog.at_level(logging.INFO):
        library.load()
    assert "compiling kernels for this processor" in caplog.text
    assert cache.stat().st_mode & 0o777 == 0o700
    (built,) = cache.glob("*.so")
    assert {path.name for path in cache.iterdir()} == {built.name, f"{built.name}.sha256"}
    caplog.clear()
    clear()
    library.load()
    assert len(builds(asked)) == 1
    assert not caplog.text


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a bit": flip,
    "its end": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "all": lambda path: path.write_bytes(b""),
    "its hash": lambda path: flip(path.with_name(path.name + ".sha256")),
    "no hash": lambda path: path.with_name(path.name + ".sha256").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_kernels_are_built_again(fake, cache, damage):
    asked = fake()
    library.load()
    (built,) = cache.glob("*.so")
    whole = built.read_bytes()
    built.chmod(0o600)
    kept = built.rename(built.with_suffix(".kept"))  # as it is loaded, it must not be written
    built.write_bytes(kept.read_bytes())
    damage(built)
    clear()
    assert library.load().pwoct_vector_bytes() in (16, 32, 64)
    assert built.read_bytes() == whole
    assert len(builds(asked)) == 2


@pytest.mark.parametrize("how", ["others may write", "a link", "a file of another user"])
def test_a_folder_that_is_not_the_users_alone(fake, cache, caplog, how, monkeypatch, tmp_path):
    asked = fake()
    library.load()
    (built,) = cache.glob("*.so")
    built.unlink()
    built.write_bytes(b"planted")
    (cache / f"{built.name}.sha256").write_text("planted")
    if how == "others may write":
        cache.chmod(0o777)
    elif how == "a link":
        cache.rename(tmp_path / "elsewhere")
        cache.symlink_to(tmp_path / "elsewhere")
    else:
        monkeypatch.setattr(library.os, "geteuid", lambda: os.getuid() + 1)
    clear()
    assert library.load().pwoct_vector_bytes() in (16, 32, 64)
    assert "kernels are compiled for this process only" in caplog.text
    assert built.read_bytes() == b"planted"
    assert len(builds(asked)) == 2


def test_a_folder_that_others_may_read_is_closed(fake, cache):
    fake()
    cache.mkdir(parents=True)
    cache.chmod(0o755)
    library.load()
    assert cache.stat().st_mode & 0o777 == 0o700


def test_a_build_that_fails_is_not_tried_without_openmp(fake, cache):
    """It may have been ended by a signal: kernels without OpenMP would then be kept for good."""
    asked = fake(build="echo 'fatal error: Killed' >&2; exit 1")
    with pytest.raises(library.CompilerError, match="failed: fatal error: Killed"):
        library.load()
    assert len(builds(asked)) == 1
    assert not list(cache.iterdir())


@pytest.mark.skipif(not compiler.OPENMP, reason="OpenMP is used on Linux alone")
@pytest.mark.parametrize("lacking", [{"openmp": "exit 1"}, {"link": "exit 1"}])
def test_a_compiler_that_lacks_openmp(fake, cache, lacking):
    asked = fake(**lacking)
    library.load()
    (without,) = cache.glob("*.so")
    assert ["-fopenmp" in line for line in builds(asked)] == [False]
    clear()
    library.load()
    assert len(builds(asked)) == 1
    fake()  # now it has it
    clear()
    library.load()
    assert len(list(cache.glob("*.so"))) == 2
    assert ["-fopenmp" in line for line in builds(asked)] == [False, True]
    assert without.exists()


def test_a_compiler_that_fails_is_asked_once(fake):
    asked = fake(build="exit 7")
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert "it ended with code 7" in library.why_not(dtype)
    with pytest.raises(library.CompilerError, match="it ended with code 7"):
        library.load()
    assert len(builds(asked)) == 1


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


def ends(file):
    """Whether the process whose number is in a file ends soon."""
    for _ in range(500):
        if not is_running(int(file.read_text())):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_compiler_that_hangs_is_ended(fake, cache, monkeypatch, tmp_path):
    fake(build=f"sleep 1000 & echo $! > {tmp_path / 'pid'}; wait")
    monkeypatch.setattr(compiler, "PATIENCE", 1)
    with pytest.raises(library.CompilerError, match="was killed after 1 seconds"):
        library.load()
    assert ends(tmp_path / "pid")
    assert not list(cache.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_interruption_ends_the_compiler(fake, cache, monkeypatch, tmp_path):
    pid = tmp_path / "pid"
    asked = fake(build=f"sleep 1000 & echo $! > {pid}; wait")
    communicate = subprocess.Popen.communicate

    def interrupted(self, *arguments):
        if builds(asked) or ("-o" in self.args and "-dM" not in self.args and "-" not in self.args):
            while not (pid.exists() and pid.read_text().strip()):
                time.sleep(0.01)
            raise KeyboardInterrupt
        return communicate(self, *arguments)

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        library.load()
    assert ends(pid)
    assert not list(cache.iterdir())


def test_what_killed_compilations_left_is_removed(fake, cache):
    fake()
    cache.mkdir(parents=True)
    old, new = cache / "building-old", cache / "building-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "kernels.so").touch()
    os.utime(old, (0, 0))
    library.load()
    assert not old.exists()
    assert new.exists()


def test_another_processor_may_be_named(fake, cache, monkeypatch):
    asked = fake()
    library.load()
    monkeypatch.setenv("PWOCT_MARCH", "haswell")
    clear()
    library.load()
    assert ["-march=haswell" in line for line in builds(asked)] == [False, True]
    assert len(list(cache.glob("*.so"))) == 2


def test_a_compiler_with_options(fake, monkeypatch):
    asked = fake()
    monkeypatch.setenv("CXX", f"{os.environ['CXX']} -DANYTHING")
    assert library.why_not(torch.float32) is None
    assert all(line.startswith("-DANYTHING") for line in asked())
