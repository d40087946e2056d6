"""The run time of `pwoct-cost verify resnet56`, as a ratio to the imports and the network that it needs.

Runs the command, and a process that imports torch and fvcore and builds the network once, in turn, and prints
the median of the ratios of CPU time and of wall time. The target is at most 3.
Measured with torch 2.13 on one core, n = 5 pairs: 2.20 (2.15 to 2.25). With --alpha 1/4
3.2, and with --paths all as well 4.0: octave networks have up to 12 convolutions where the plain one has 1.

    python benchmarks/verify_time.py [pairs] [options of verify]
"""

from __future__ import annotations

import sys

from processes import PWOCT_COST, PYTHON, argument, in_turn, print_ratios, print_versions

BASE = [PYTHON, "-W", "ignore", "-c", "import torch, fvcore.nn, pwoct; pwoct.build('resnet56')"]
COMMAND = [PWOCT_COST, "verify", "resnet56"]


def main() -> None:
    measured = in_turn([*COMMAND, *sys.argv[2:]], BASE, argument(1, 9))
    print_versions(("torch", "fvcore"))
    print_ratios("verify", measured)


if __name__ == "__main__":
    main()
