"""The command line as a process: where its output goes, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import cli

Run = Callable[..., Any]

PWOCT_COST = [sys.executable, "-c", "import cli; cli.main()"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments", [["--alpha", "1/4"], ["explain", "octave", "--format", "json"], ["equations"]], ids=" ".join
)
def test_a_full_disk_is_one_line_and_no_failed_check(arguments: list[str]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*PWOCT_COST, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 6
    assert done.stderr == "pwoct-cost: error: the result can't be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("alpha", "code"), [("x", 2), ("1/3", 0)], ids=["error", "warning"])
def test_messages_that_cannot_be_written_change_no_exit_code(alpha: str, code: int) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*PWOCT_COST, "--alpha", alpha, "--format", "json"],
            stdout=subprocess.PIPE,
            stderr=full,
            check=False,
        )
    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)


def test_a_closed_stdout_is_said() -> None:
    done = subprocess.run(
        [*PWOCT_COST, "--alpha", "1/4"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: os.close(1),
    )
    assert done.returncode == 6
    assert done.stderr == "pwoct-cost: error: the result can't be written: stdout is closed\n"


def test_warnings_do_not_enter_the_result_where_stderr_is_closed() -> None:
    done = subprocess.run(
        [*PWOCT_COST, "--alpha", "1/3", "--format", "json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: os.close(2),
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["command"] == "calculator"


def test_a_closed_pipe_ends_quietly() -> None:
    with subprocess.Popen(
        [*PWOCT_COST, "sweep", "--format", "csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [("complete_bash", "explain\nexplorer\n"), ("source_bash", "complete -o default")],
)
def test_completion_succeeds(instruction: str, answer: str) -> None:
    asked = {"_PWOCT_COST_COMPLETE": instruction, "COMP_WORDS": "pwoct-cost expl", "COMP_CWORD": "1"}
    done = subprocess.run(
        PWOCT_COST, capture_output=True, text=True, check=False, env={**os.environ, **asked}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert answer in done.stdout


@pytest.mark.parametrize(("encoding", "square"), [("ascii", "^2"), ("latin-1", "²")])
def test_what_an_encoding_lacks_is_spelled_out(encoding: str, square: str) -> None:
    done = subprocess.run(
        [*PWOCT_COST, "--alpha", "1/4", "--paths", "HL"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "80"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode(encoding)
    assert "12->2->2->4" in out
    assert f"c_H{square}" in out
    table = out.splitlines()[1:9]
    assert len({tuple(i for i, char in enumerate(line) if char in "|+") for line in table}) == 1


@pytest.mark.parametrize("command", ["", *cli.COMMANDS, "data fetch", "data check"])
def test_help_is_plain_everywhere(pwoct_cost: Run, command: str) -> None:
    run = pwoct_cost(*command.split(), "--help")
    assert (run.code, run.err) == (0, "")
    lines = run.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert run.out.isascii()  # no boxes
    assert ("--install-completion" in run.out) is (command == "")
    description = lines[1 : next(i for i, line in enumerate(lines) if line.endswith(":"))]
    for line, below in pairwise(description):
        assert not line or not below or len(f"{line} {below.split()[0]}") > 78


def test_the_list_of_commands_cuts_no_text(pwoct_cost: Run) -> None:
    for command in ((), ("data",)):
        listed = pwoct_cost(*command, "--help").out.partition("Commands:")[2]
        assert "..." not in listed
    assert "\n  plot       Draw a result of search, sweep or the calculator.\n" in pwoct_cost("--help").out


@pytest.mark.parametrize("columns", ["20", "40", "80", "100", "300"])
def test_no_terminal_cuts_a_number(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    options = ("--model", "resnet1202", "--alpha", "1/4", "--paths", "HL", "--size", "2048", "--width", "512")
    counts = pwoct_cost(*options, "--format", "json").json["network"]
    monkeypatch.setenv("COLUMNS", columns)
    shown = pwoct_cost(*options).out
    for row in counts:
        (line,) = (line for line in shown.splitlines() if line.startswith(row["network"]))
        assert f"{row['params']:,}" in line.split()
        assert f"{row['macs']:,}" in line.split()
