"""The machine's C++ compiler: its command, whether it supports OpenMP, and how to run it."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

# Seconds after which a compiler is killed: 30 times its usual time, 5 times that on a busy machine.
PATIENCE = 600
OMP_TEST = '#include <omp.h>\nextern "C" int threads() { return omp_get_max_threads(); }\n'
# On other systems PyTorch ships a different OpenMP from the compiler's, and a process must not load both.
OPENMP = ("-fopenmp",) if sys.platform == "linux" else ()


class CompilerError(RuntimeError):
    """The kernels could not be compiled, cached or loaded; the message is one line."""


def compiler() -> list[str]:
    """Return the command of the C++ compiler: the environment variable CXX, else g++, else c++.

    GCC is preferred, since Clang's kernels are about half as fast, and some of its versions crash.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    return named or ["c++" if shutil.which("g++") is None else "g++"]


def march() -> str:
    """Return the option that selects the processor; PWOCT_MARCH selects another, such as haswell for AVX2."""
    return f"-march={os.environ.get('PWOCT_MARCH') or 'native'}"


def run(*arguments: str, text: str = "") -> bytes:
    """Return the compiler's output for these arguments, with `text` on its standard input.

    The compiler and its child processes end with this call, even if it is interrupted.

    Raises:
        CompilerError: if it fails, cannot be started, or takes longer than `PATIENCE`.
    """
    command = [*compiler(), *arguments]
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(text.encode(), PATIENCE)
            finally:
                _end(process)
    except subprocess.TimeoutExpired as error:
        raise CompilerError(f"{shlex.join(command)} was killed after {PATIENCE} seconds") from error
    except OSError as error:
        raise CompilerError(f"{shlex.join(command)} failed: {error}") from error
    if process.returncode:
        raise CompilerError(f"{shlex.join(command)} failed: {_reason(process.returncode, err)}")
    return out


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process that is still running, and its children."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _reason(code: int, err: bytes) -> str:
    said = err.decode(errors="replace").strip().splitlines()
    if code < 0:
        return f"it was killed by signal {-code}"
    return next((line for line in said if "error" in line), said[0] if said else f"it ended with code {code}")


def macros() -> tuple[bytes, Sequence[str]]:
    """Return the macros that the compiler defines for this processor, and its options for OpenMP.

    A cache may be shared by machines; the compiler's meaning of -march=native distinguishes them. Without
    OpenMP there are no options.

    Raises:
        CompilerError: if it fails.
    """
    arguments = (march(), "-dM", "-E", "-x", "c++", os.devnull)
    if OPENMP:
        try:
            return run(*OPENMP, *arguments), OPENMP
        except CompilerError:  # if OpenMP is not the cause, the compiler fails again
            pass
    return run(*arguments), ()


def links_openmp() -> bool:
    """Whether a library with OpenMP can be built: a compiler may know the option but lack the files."""
    try:
        run(*OPENMP, "-shared", "-fPIC", "-o", os.devnull, "-x", "c++", "-", text=OMP_TEST)
    except CompilerError:
        return False
    return True
