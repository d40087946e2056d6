"""A plugin for pytest: what this project uses of Unix alone is missing, as on Windows."""

from __future__ import annotations

import os
import sys
from types import ModuleType

HIDDEN_NAMES = ((os, "O_NOFOLLOW"), (os, "O_CLOEXEC"))

assert not {"pwoct", "costmodel"} & set(sys.modules), "imported before anything could be hidden"
sys.modules["fcntl"] = None  # type: ignore[assignment]
for module, name in HIDDEN_NAMES:
    delattr(module, name)

msvcrt = ModuleType("msvcrt")
msvcrt.LK_NBLCK = 2  # type: ignore[attr-defined]
msvcrt.locking = lambda descriptor, mode, count: None  # type: ignore[attr-defined]
sys.modules["msvcrt"] = msvcrt
