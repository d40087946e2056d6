"""The run time of the paper's report, and of the search for its reading.

The report (`pwoct-cost paper`, a whole process) is compared with the imports that it needs, run
in turn: the median of the ratios of CPU time and of wall time. The search (`pwoct-cost paper --readings`) is
timed as a whole process, on one core.
Predicted before measuring: a ratio of 2.5, and 10 s of CPU time. The targets are 3, and 60 s.

    python benchmarks/paper_time.py [pairs] [searches]
"""

from __future__ import annotations

from processes import (
    AXES,
    IMPORTS,
    ONE_CORE,
    PWOCT_COST,
    argument,
    in_turn,
    print_ratios,
    print_versions,
    seconds,
    spread,
)

REPORT = [PWOCT_COST, "paper"]
SEARCH = [*REPORT, "--readings"]


def main() -> None:
    measured = in_turn(REPORT, IMPORTS, argument(1, 15), ONE_CORE)
    searched = [seconds(SEARCH, ONE_CORE) for _ in range(argument(2, 3))]
    print_versions(("sympy", "typer", "rich", "numpy"))
    print_ratios("report", measured)
    for axis, name in enumerate(AXES):
        print(f"search, {name} time: {spread([one[axis] for one in searched], ' s')}; n = {len(searched)}")


if __name__ == "__main__":
    main()
