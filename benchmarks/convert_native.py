"""How many converted networks the plan "native" computes, of those that convert_coverage.py passes.

Each is converted again and planned, and the plan's output for two images is compared with the module's.

    python benchmarks/convert_native.py RESULTS.jsonl NATIVE.jsonl
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from convert_coverage import STEPS, build
from coverage import PACKAGES, OutOfTime, limited, read

MOST = 60_000_000  # parameters of networks that are planned


def run(arguments: argparse.Namespace) -> None:
    """Examine the networks of results that passed all steps; those in the second file are not repeated."""
    path = Path(arguments.native)
    done = {result["name"] for result in read(path)}
    passed = [r for r in read(Path(arguments.results)) if all(r.get(step) for step in STEPS)]
    for result in passed:
        if result["name"] not in done:
            found = {"name": result["name"], "reason": why_not(result, arguments.seconds)}
            with path.open("a") as file:
                file.write(json.dumps(found) + "\n")
    results = read(path)
    reasons = Counter(re.sub(r".* has (the operator )?", "", r["reason"]) for r in results if r["reason"])
    print(f"{sum(not r['reason'] for r in results)} of {len(results)}")
    print("\n| why native does not compute a converted network | networks |\n| --- | --- |")
    for reason, count in reasons.most_common():
        print(f"| {reason} | {count} |")


def why_not(result: dict[str, Any], seconds: int) -> str | None:
    """Why the plan "native" does not compute a network after its conversion, or None if it rightly does."""
    import torch

    from pwoct.conversion import convert
    from pwoct.plan import with_plan

    if sum(p.numel() for p in build(result["name"], "meta").parameters()) > MOST:
        return f"not tried: it has more than {MOST // 10**6} million parameters"
    try:
        with limited(seconds), torch.no_grad():
            shape = (2, *result["shape"][1:])
            made = convert(build(result["name"], "cpu"), alpha=result["alpha"], inputs=shape).eval()
            planned = with_plan(made, "native", size=shape[2:])
            x = torch.randn(shape)
            wanted = made(x)
            difference = float((planned(x) - wanted).abs().max() / wanted.abs().max().clamp_min(1e-6))
    except (ValueError, OutOfTime) as error:
        return getattr(error, "reason", str(error))
    return None if difference < 1e-3 else f"it differs by {difference:.2g}"


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results")
    parser.add_argument("native")
    parser.add_argument("--seconds", type=int, default=120)
    run(parser.parse_args())


if __name__ == "__main__":
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES), file=sys.stderr)
    main()
