"""Finding what a name refers to: an attribute of a module, or of a file that is loaded by its path."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from costmodel.models.foreign import foreign
from costmodel.models.names import Name


def attribute_of(name: Name) -> Any:
    """Return what a name of a module or a file refers to; modules in the current directory are found too.

    Raises ValueError if there is no such module or attribute, or if importing the module fails.
    """
    module = _file_module(name.place) if name.source == "file" else _imported(name.place)
    found: Any = module
    for part in name.attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{name.place} has no {name.attribute}{_offered(module)}")
        with foreign(f"{name.place} fails to provide {name.attribute}"):
            found = getattr(found, part)
    return found


def _offered(module: ModuleType) -> str:
    public = ((name, value) for name, value in vars(module).items() if not name.startswith("_"))
    own = [n for n, v in public if callable(v) and getattr(v, "__module__", "") == module.__name__]
    return f"; it has {', '.join(own[:8])}{', ...' if len(own) > 8 else ''}" if own else ""


def _imported(module: str) -> ModuleType:
    with _importable_from(os.getcwd()), foreign(f"can't import {module}"):
        return importlib.import_module(module)


def _file_module(place: str) -> ModuleType:
    """Load a file by its path, even if another module has its name; its imports from its own folder work."""
    path = Path(place).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no file {place}")
    path = path.resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{place} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles in the file look up their module
    try:
        with _importable_from(str(path.parent)), foreign(f"can't load {place}"):
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error.__cause__, ImportError) and "relative import" in str(error.__cause__):
            raise ValueError(
                f"{place} imports relatively, so it is part of a package: name it as {_dotted(path)}, in the "
                "folder that holds the package"
            ) from error
        raise
    return module


def _dotted(path: Path) -> str:
    """Return the name of a file's module, with the packages that it is in."""
    name, folder = path.stem, path.parent
    while (folder / "__init__.py").is_file() or "." not in name:
        name, folder = f"{folder.name}.{name}", folder.parent
    return name


@contextmanager
def _importable_from(folder: str) -> Iterator[None]:
    """Let modules be found in a folder before all others, now and when functions import later.

    It comes first because a user's module may share a name with one of this project, such as `cli`.
    """
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    yield
