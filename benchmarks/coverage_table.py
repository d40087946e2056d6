"""Makes the page of the results of `coverage.py`.

python benchmarks/coverage_table.py docs/coverage.md RESULTS.jsonl FORMS.jsonl ...
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coverage import PACKAGES, read


def write(page: Path, paths: list[Path]) -> None:
    """Write the page of results; the first file holds the sample."""
    first, *others = paths
    results = {result["name"]: result for result in read(first)}
    for result in (result for path in others for result in read(path)):
        if result["name"] in results:
            results[result["name"]].update(result)
    built = [result for result in results.values() if result["built"]]
    lines = [HEADER, *_counts(results, built), "", *_exceptions(results.values())]
    page.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


DIFFERS = "a form that differs"

HEADER = """# Coverage of public networks

Written by `benchmarks/coverage.py`: a sample of the networks of timm and pytorchcv, drawn by a seed, built
without weights on the meta device. Closed forms were sought for its convolutional networks, fastest first,
until the time budget ran out (60 s of processor time per step). A form counts as found only if every
quantity (parameters, MACs, activations, element operations, elements moved, calls) equals that of a count at
five random sizes of its domain, or at fewer where five are not found quickly.

| what | networks |
| --- | ---: |"""


def _counts(results: dict[str, Any], built: list[dict[str, Any]]) -> Iterator[str]:
    by_package = ", ".join(f"{_of(built, p)} of {p} {version(p)}" for p in PACKAGES)
    yield f"| drawn and built ({by_package}) | {len(built)} |"
    yield f"| could not be built here | {len(results) - len(built)} |"
    ran = [r for r in built if "macs" in r]
    yield f"| run without a crash | {len(ran)} |"
    yield f"| run without data (the others need values, and ran on the CPU) | {_where(ran, route='fake')} |"
    yield f"| with all MACs covered by formulas | {sum(not r['uncovered'] for r in ran)} |"
    compared = [r for r in ran if "torch_macs" in r]
    yield f"| that torch's counter can run on the meta device | {len(compared)} |"
    yield f"| of these, with the same MACs | {sum(r['macs'] == r['torch_macs'] for r in compared)} |"
    asked = [r for r in ran if "form" in r or "form_error" in r]
    yield f"| convolutional ones whose closed form was sought | {len(asked)} |"
    yield f"| of these, a form that differs from a count | {sum(_verdict(r) == DIFFERS for r in asked)} |"
    for what, networks in _forms(asked).items():
        yield f"| of these, {what} | {len(networks)} |"


def _forms(asked: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for result in asked:
        if _verdict(result) != DIFFERS:
            found.setdefault(_verdict(result), []).append(result["name"])
    return dict(sorted(found.items()))


def _verdict(result: dict[str, Any]) -> str:
    form = result.get("form", "")
    if form and not result["checked"]:
        return "a form, but no size of its domain was drawn to check it"
    if form.startswith("wrong"):
        return DIFFERS
    if "fixed by the code" in form:
        return "exact, for the image sizes that the code takes: one, or a short range"
    if form.startswith("exact"):
        return "exact in batch, height and width"
    if form.startswith("interpolated"):
        return "interpolated in batch, height and width"
    return "not found in time" if "OutOfTime" in result["form_error"] else "not found"


def _exceptions(results: Any) -> Iterator[str]:
    yield "| network | remark |"
    yield "| --- | --- |"
    for result in results:
        for what in _unusual(result):
            yield f"| `{result['name']}` | {what.replace('|', chr(92) + '|')} |"


def _unusual(result: dict[str, Any]) -> Iterator[str]:
    if not result["built"]:
        yield f"not built: {result['error']}"
        return
    for key, label in (("macs", "fails"), ("torch_macs", "torch's counter fails"), ("form", "no form")):
        if f"{key}_error" in result:
            yield f"{label}: {result[f'{key}_error'][:150]}"
    if "torch_macs" in result and result["torch_macs"] != result["macs"]:
        yield f"{result['macs']:,} MACs, torch's counter {result['torch_macs']:,}"
    if result.get("uncovered"):
        yield f"not covered: {', '.join(result['uncovered'])}"
    yield from (note[:150] for note in result.get("notes", ()))
    if _is_special(result.get("form", "")):
        yield f"closed form: {result['form']}, {result['domain'][:150]}"


def _is_special(form: str) -> bool:
    return form.startswith(("wrong", "interpolated"))


def _of(results: list[dict[str, Any]], package: str) -> int:
    return sum(result["name"].startswith(f"{package}:") for result in results)


def _where(results: list[dict[str, Any]], **values: Any) -> int:
    return sum(all(result.get(key) == value for key, value in values.items()) for result in results)


if __name__ == "__main__":
    write(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]])
