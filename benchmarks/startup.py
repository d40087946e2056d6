"""The run time of the main command, as a ratio to the imports that it needs.

Runs `pwoct-cost --alpha 0.25 --beta 2 --paths HL,LH,LL` and `python -c "import sympy, typer, rich.table"` in
turn, each as a whole process, and prints the median of the ratios of CPU time and of wall time.
Predicted before measuring: about 1.3. The target is 1.5.

    python benchmarks/startup.py [pairs]
"""

from __future__ import annotations

from processes import IMPORTS, PWOCT_COST, argument, in_turn, print_ratios, print_versions

COMMAND = [PWOCT_COST, "--alpha", "0.25", "--beta", "2", "--paths", "HL,LH,LL"]


def main() -> None:
    measured = in_turn(COMMAND, IMPORTS, argument(1, 15))
    print_versions(("sympy", "typer", "rich"))
    print_ratios("main command", measured)


if __name__ == "__main__":
    main()
