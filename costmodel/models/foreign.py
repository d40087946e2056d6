"""Running foreign code: its output goes to stderr, and its errors become one clear line."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import NoReturn

import torch

from costmodel.failures import told, where
from costmodel.models.limits import OverError

ENTRY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "__main__.py")


@contextmanager
def foreign(doing: str) -> Iterator[None]:
    """Run foreign code: its output goes to stderr, it does not see our arguments, and can't end the program.

    Whatever it raises, including `sys.exit` and `os._exit`, becomes a ValueError that says what was done, the
    error and the user's line; interrupts pass through. Grad mode and default dtype are restored.
    """
    argv, grad, dtype = sys.argv, torch.is_grad_enabled(), torch.get_default_dtype()
    sys.argv = [argv[0] if argv else "pwoct-cost"]
    try:
        with ExitStack() as stack:
            stack.enter_context(_to_stderr())
            stack.enter_context(_ends_by_raising())
            messages = sys.stderr or stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(redirect_stdout(messages))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            yield
    except SystemExit as error:
        call = "os._exit" if isinstance(error, _AtOnce) else "sys.exit"
        raise ValueError(f"{doing}: it ends the program: {call}({error.code!r}){where(error)}") from error
    except (KeyboardInterrupt, OverError):
        raise
    except BaseException as error:
        raise ValueError(f"{doing}: {told(error)}") from error
    finally:
        sys.argv = argv
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)


class _AtOnce(SystemExit):
    """The code called `os._exit`, which would end the program without a word."""


@contextmanager
def _ends_by_raising() -> Iterator[None]:
    """Let `os._exit` raise here; Ctrl-C, child processes and the time limit's thread end as usual."""
    here, end = (os.getpid(), threading.get_ident()), os._exit

    def ending(status: int) -> NoReturn:
        is_ours = sys._getframe(1).f_code.co_filename == ENTRY  # which handles Ctrl-C
        if is_ours or (os.getpid(), threading.get_ident()) != here:
            end(status)
        raise _AtOnce(status)

    setattr(os, "_exit", ending)  # noqa: B010 - mypy knows no assignment to functions
    try:
        yield
    finally:
        setattr(os, "_exit", end)  # noqa: B010


@contextmanager
def _to_stderr() -> Iterator[None]:
    """Redirect file descriptor 1 itself, used by extensions and child processes, to stderr too."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # stdout is closed
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
