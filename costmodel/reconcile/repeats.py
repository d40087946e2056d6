"""How often a counter adds what a module with several parents cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from costmodel.reconcile.events import ModuleFacts, Seen
from costmodel.reconcile.rules import Rules

_CONTAINERS = ("Sequential", "ModuleList")


def repeats(observed: Seen, counter: Rules) -> Mapping[str, int]:
    """Return, for each module by path, how often one run of it enters the total.

    "once"; "ways": once for each way from the model down to it; "paths": for each that passes no module with
    a rule; "hooks": that, times the hooks on it, which are as many as there are ways to it.
    """
    modules = observed.modules
    if counter.repeats == "once":
        return dict.fromkeys(modules, 1)

    def has_rule(facts: ModuleFacts) -> bool:
        name = facts.classes[0]
        short = name.rpartition(".")[2] if name.startswith("torch.nn.") else name
        return ("module", short) in counter.by_name

    if counter.repeats == "ways":
        return _ways(modules, lambda _: False)
    if counter.repeats == "paths":
        return _ways(modules, has_rule)
    hooks = _ways(modules, lambda _: False)
    seen = _ways(modules, lambda f: f.path != "" and has_rule(f) and not _is_container(f))
    return {path: hooks[path] * seen[path] for path in modules}


def _is_container(facts: ModuleFacts) -> bool:
    return any(name.rpartition(".")[2] in _CONTAINERS for name in facts.classes)


def _ways(modules: Mapping[str, ModuleFacts], ends: Callable[[ModuleFacts], bool]) -> Counter[str]:
    """Return the number of ways down to each module that go through none at which they end."""
    found: Counter[str] = Counter()

    def visit(path: str) -> None:
        found[path] += 1
        if not ends(modules[path]):
            for child in modules[path].children:
                visit(child)

    visit("")
    return found
