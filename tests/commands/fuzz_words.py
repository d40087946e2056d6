"""What the fuzz tests type: values of every kind for every option of every command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NUMBERS = ["0", "1", "2", "3", "7", "16", "64", "1000003", "-1", "1.5", "1e3", "", "x", "٣", "2**3", "0x10"]


RATIOS = [
    *("0", "1", "1/4", "0.25", "1/3", "0.8", "2", "-1/4", "3/2", "1/0", "nan", "inf", "1e-300", "abc", ""),
    *(
        "0:1:1/4",
        "0:1",
        "1:0:1/4",
        "0:1:0",
        "0:1:1e-9",
        "0,1/4",
        "1/4,,",
        "1/8+1/4+1/2",
        "1/4+1/2",
        "+",
        "a+b+c",
    ),
]


SIZES = ["32", "1", "33", "5x7", "32x32", "0", "-3", "32x", "x", "1e3", "99999999999", "", "3 x 3"]


PATHS = ["all", "none", "HH", "hl,LH", "HL,LH,LL", "HL+none+all", "HL+LH", "XX", "", "HH,,LL", "all,HH"]


WORDS = [
    "",
    "-",
    "--",
    "out",
    "mean",
    "C",
    "A",
    "B",
    "bn",
    "bn_relu",
    "none",
    "resnet20",
    "résnet",
    "\x00",
    "%s",
]


# What any option may be given: what terminals obey, names that file systems refuse, numbers that do not end.
HOSTILE = [
    "\x1b[31mred",
    "\u202etxt.exe",
    "\udcff",
    "n" * 300,
    "9" * 30,
    "1e-400",
    "inf",
    "[red]",
    "=1+1",
    "~",
    "/",
]


OPTIONS: dict[str, list[str]] = {
    "--alpha": RATIOS,
    "--beta": [*RATIOS, "4", "8/3", "1:4:1"],
    "--paths": PATHS,
    "--model": ["resnet20", "resnet8", "resnet56", "resnet110", "resnet", "resnet1", "vgg16", *WORDS],
    "--op": ["standard", "pointwise", "depthwise", "separable", "octave", "pwise", *WORDS],
    "--c-in": NUMBERS,
    "--c-out": NUMBERS,
    "--size": SIZES,
    "--kernel": SIZES,
    "--stride": NUMBERS,
    "--dilation": NUMBERS,
    "--groups": NUMBERS,
    "--padding": ["0", "1x2", "same", *NUMBERS],
    "--output-padding": ["0", "1", "1x0", "-1"],
    "--dim": ["1", "2", "3", "4"],
    "--batch": NUMBERS,
    "--in-channels": NUMBERS,
    "--alpha-in": RATIOS,
    "--alpha-out": RATIOS,
    "--width-rule": [*WORDS, "in", "min"],
    "--stride-rule": WORDS,
    "--between": WORDS,
    "--width": NUMBERS,
    "--classes": NUMBERS,
    "--dtype": ["float32", "int8", *WORDS],
    "--unit": ["mac", "flop", "Gmac", "KFLOPS", *WORDS],
    "--count": ["conv", "conv,linear", "bn,add,pool", "CONV", *WORDS],
    "--format": ["table", "json", "csv", "md", "latex", *WORDS],
}


FLAGS = [
    "--bias",
    "--depthwise",
    "--exchange",
    "--per-layer",
    "--version",
    "--help",
    "--no-such-option",
    "explain",
    "octave",
    "surplus",
    "--",
]


QUANTITIES = ["macs", "macs,bytes", "params,,macs", "calls", "speed", "bytes", ""]


SEARCHED = {
    "--model": ["resnet8", "resnet14", "resnet8,resnet14", "resnet", *WORDS],
    "--alpha": ["0", "1/4", "0,1/4", "1", *RATIOS],
    "--beta": ["2", "2,4", "8/3", *RATIOS],
    "--paths": PATHS,
    "--width-rule": ["out", "in", "min", "out,in", *WORDS],
    "--size": SIZES,
    "--width": NUMBERS,
    "--classes": NUMBERS,
    "--stride-rule": WORDS,
    "--between": WORDS,
    "--dtype": ["float32", "int8", *WORDS],
    "--plot": ["front.foo", "", "."],
    "--format": ["table", "json", "csv", *WORDS],
}


NETWORKS = ["resnet8", "resnet8 --alpha 1/4", "resnet14 --paths=HL --alpha 0.5", "resnet8 --alpha", "--x 1"]
NETWORKS += ["resnet8 --width 4 --size 5x7", "resnet8 'x", "", "nowhere/run", "resnet8 --alpha 1/4 --alpha 0"]


OBEYED_HERE = set("\x1b\u202e\udcff\x00")


@dataclass(frozen=True)
class Command:
    """A subcommand: words that always stand, options with values to try ("": no option), exit codes."""

    words: tuple[str, ...]
    options: Mapping[str, Sequence[str]]
    codes: frozenset[int] = frozenset({0, 2})


# What trains or times has one wrong option always, so that it never gets so far.
COMMANDS = {
    "explain": Command((), {"": ["octave", "linear", "LSTM", *WORDS], "--format": ["json", *WORDS]}),
    "equations": Command(
        ("--beta", "2"),
        {
            "--alpha": ["0", "1/4", "2", "", "x"],
            "--beta": ["3", "0", "x", "", "2,4"],
            "--kernel": NUMBERS,
            "--width-rule": ["in", *WORDS],
        },
    ),
    "sweep": Command(
        ("--model", "resnet8", "--alpha", "0,1/4", "--paths", "HL"),
        {**SEARCHED, "--quantity": QUANTITIES, "--unit": ["flop", "Mmac", *WORDS], "--count": ["bn", ""]},
    ),
    "search": Command(
        ("--model", "resnet8", "--alpha", "0,1/4", "--beta", "2", "--paths", "HL"),
        {
            **SEARCHED,
            "--width": ["4,8", "8:16:8", "1/2", *NUMBERS[:4]],
            "--minimise": [*QUANTITIES, "latency"],
            "--maximise": QUANTITIES,
            "--constraint": ["keep-hh", "same-beta,keep-ll", "keep", ""],
            "--max-params": ["1", "0.4M", "-3", "x", "1e9", "٣"],
            "--max-macs": ["1G", "60M", "", "M"],
            "--max-latency": ["5ms", "5", "x"],
            "--machine": ["25G,10G,5us", "25G", "0,0,0s", ""],
            "--rows": NUMBERS,
        },
    ),
    "diff": Command(
        (), {"": NETWORKS, "--quantity": QUANTITIES, "--format": ["json", *WORDS], "--runs": ["nowhere"]}
    ),
    "plot": Command(("-o", "x.svg"), {"": ["nowhere.json", ".", *WORDS], "--output": ["x.foo", "", "x.png"]}),
    "verify": Command(
        ("--width", "4", "--size", "8"),
        {
            "": ["resnet8", "resnet8", "resnet", "no.such:model", "math:pi", ":", *WORDS],
            "--alpha": ["0", "1/4", "1/2", "2", "", "1/8+1/4+1/2", "1/4,1/2"],
            "--beta": ["2", "1", "0", "99", "x"],
            "--paths": PATHS,
            "--size": ["5x7", "0", "x", "1"],
            "--batch": ["2", "0", "-1", "x"],
            "--width": ["3", "0", "x"],
            "--classes": ["1", "0", "-1", "x"],
            "--input": ["1,3,8,8", "x", ""],
            "--jobs": ["1", "0"],
            "--stride-rule": WORDS,
        },
    ),
    "study": Command(
        ("--dry-run", "--runs", "nowhere"),
        {
            "": ["table1", "table3", "table9", *WORDS],
            "--depth": NUMBERS,
            "--seeds": ["0", "0-1", "1-0", "x", "", "0,0"],
            "--shard": ["1/4", "4/4", "0/4", "5/4", "x", ""],
            "--set": ["epochs=3", "epochs=x", "foo=1", "model.width=2", "=", "", "machine.threads=2"],
            "--recipe": ["fast", "paper", *WORDS],
        },
    ),
    "train": Command(
        ("--dry-run", "--dataset", "nothing"),
        {
            "": ["resnet8", "resnet9", *WORDS],
            "--alpha": RATIOS,
            "--beta": RATIOS,
            "--paths": PATHS,
            "--set": [
                "epochs=3",
                "foo=1",
                "model=3",
                "model.width.x=1",
                "=",
                "",
                "epochs",
                "schedule.name=x",
            ],
            "--epochs": NUMBERS,
            "--seeds": ["0", "0-4", "4-0", "x", ""],
            "--config": ["nowhere.toml", "."],
            "--name": ["a", "a/b", "..", ""],
        },
        frozenset({2}),
    ),
    "bench": Command(
        ("--mode", "none"),
        {
            "": ["resnet8", "resnet9", *WORDS],
            "--alpha": RATIOS,
            "--beta": RATIOS,
            "--paths": PATHS,
            "--batch": NUMBERS,
            "--dtype": ["float32", *WORDS],
            "--plan": ["lean", *WORDS],
            "--size": SIZES,
        },
        frozenset({2}),
    ),
    "paper": Command(
        ("--figure", "x.foo"), {"--format": WORDS, "--document": ["x.md"], "--runs": ["."]}, frozenset({2})
    ),
    "runs": Command(("--runs", "nowhere"), {"": ["x", "", ".", "a/b"], "--plot": ["x.foo"]}),
    "evaluate": Command(
        ("nothing", "--runs", "nowhere"),
        {"--data": [".", "nowhere"], "--plan": ["lean", *WORDS], "": ["x"]},
        frozenset({2}),
    ),
    "cost": Command(
        ("--input", "1,3,8,8"),
        {
            "": [
                "no.such:model",
                "math:pi",
                "torch.nn:Identity()",
                "torch.nn:Conv2d(3,4,3)",
                ":",
                "x.py:y",
                *WORDS,
            ],
            "--input": ["1,3,8,8", "x", "", "0", "1,3"],
            "--format": ["json", *WORDS],
        },
    ),
    "reconcile": Command(
        ("resnet8",),
        {
            "--claim": ["4.12G", "x", "", "1", "0M", *WORDS],
            "--claim-params": ["25.56M", "x", ""],
            "--counter": ["torch", "fvcore,thop", "x", ""],
            "--input": ["1,3,8,8", "x", "1,3"],
            "--format": ["json", *WORDS],
        },
    ),
    "data check": Command(("nowhere",), {"": ["x", ""]}, frozenset({2, 4})),
}
