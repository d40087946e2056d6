"""What would take hours, or more memory than there is, is refused at once; nothing is accepted silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costmodel.commands.shared import limits
from costmodel.networks.resnet import named
from costmodel.operators.recorder import cost_of

Run = Callable[..., Any]

DRY = ("train", "resnet8", "--dataset", "synthetic", "--dry-run")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "resnet8", "--width", "99999"), "resnet8 of width 99,999, 10 outputs"),
        (("verify", "resnet8", "--classes", "99999999999"), "99,999,999,999 outputs"),
        (("verify", "resnet8", "--batch", "99999999999"), "on 99,999,999,999 images of 32x32"),
        (("verify", "resnet8", "--size", "999999999"), "on 1 image of 999999999x999999999"),
        (("verify", "resnet99998"), "at most 2,000 layers are built and run, got resnet99998"),
        (("bench", "resnet8", "--width", "999999", "--quick"), "would need about 3.2 PiB of memory, and "),
        (("bench", "resnet8", "--batch", "999999999"), "on 999,999,999 images"),
        (("bench", "resnet2006"), "at most 2,000 layers are built and run, got resnet2006"),
        (("bench", "resnet8", "--threads", "100000"), "threads must be at most 1,024, got 100,000"),
        ((*DRY, "--set", "model.width=1e9"), "resnet8 of width 1,000,000,000, 10 outputs, training on"),
        ((*DRY, "--set", "model.width=100000"), "would need about 32.6 TiB of memory, and "),
        ((*DRY, "--batch", "999999999"), "training on 999,999,999 images of 32x32"),
        ((*DRY, "--set", "schedule.warmup=inf"), "schedule.warmup must be a finite number, got inf"),
        ((*DRY, "--checkpoint-minutes", "nan"), "'--checkpoint-minutes': a finite number is needed, got nan"),
        (("cost", "resnet8", "--timeout", "inf"), "'--timeout': a finite number is needed, got inf"),
        ((*DRY, "--lr", "inf"), "optimiser.lr must be a finite number, got inf"),
        ((*DRY, "--lr", "nan"), "optimiser.lr must be a finite number, got nan"),
        ((*DRY, "--threads", "100000"), "got 100000"),
        ((*DRY, "--seeds", "0-100000"), "the number of seeds must be at most 1,000, got 100,001"),
        ((*DRY, "--seeds", "0-1000000000000"), "at most 1,000, got 1,000,000,000,001"),
        ((*DRY, "--seeds", "9" * 30), "of at most 18 digits, got 999"),
        ((*DRY, "--allow-change", "foo"), "--allow-change needs a key such as recipe, seed, epochs, batch"),
        ((*DRY, "--data", "."), "synthetic images are computed, not read: leave out --data ."),
        (("train", "resnet99998", *DRY[2:]), "at most 2,000 layers are built and run, got resnet99998"),
        (("study", "table1", "--dry-run", "--seeds", "0-9999999999"), "at most 1,000, got 10,000,000,000"),
        (("--model", "resnet99998", "--per-layer"), "at most 10,000 layers, got resnet99998"),
        (("diff", "resnet99998", "resnet8"), "at most 10,000 layers, got resnet99998"),
        (("equations", "--beta", "1:99:0.01"), "the number of betas must be at most 100, got 9,801"),
        (("--alpha", "0.25,"), "a list needs a value before and after each comma, got 0.25,"),
        (("--alpha", ",0.25"), "a list needs a value before and after each comma, got ,0.25"),
        (("--alpha", ""), "alpha must be a number such as 0.25 or 1/4, got nothing"),
        (("--alpha", "1e-400"), "alpha must be a ratio of numbers with at most 40 digits, got 1e-400"),
        (("--beta", "1" + "0" * 50), "beta must be a ratio of numbers with at most 40 digits, got 1000"),
        (("--size", "9" * 20), "size must be at most 999,999,999, got 99999999999999999999"),
        (("--size", "32x" + "9" * 20), "size must be at most 999,999,999, got 32x99999999999999999999"),
        (("--kernel", "9" * 11), "kernel must be at most 999,999,999"),
        (("runs", "--runs", "nowhere"), "--runs must be a folder, got nowhere, which does not exist"),
        (("paper", "--records", "nowhere"), "--records must be a folder, got nowhere, which does not exist"),
        (("paper", "--runs", "file"), "--runs must be a folder, got file\n"),
        (("paper", "--document", "nowhere/x.md"), "the place of --document must be a folder, got nowhere"),
        (("paper", "--document", "."), "--document must be a file such as paper.md, got ."),
        (("paper", "--document", "-"), "--document must be a file such as paper.md, got -"),
    ],
)
def test_refused_at_once(
    pwoct_cost: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    run = pwoct_cost(*words)
    assert (run.code, run.out) == (2, "")
    assert said in run.err
    assert run.err.count("pwoct-cost: error: ") == 1
    assert run.err.endswith("\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("depth", "accepted"), [(2000, True), (2006, False)])
def test_the_depth_that_is_built(depth: int, accepted: bool) -> None:
    net = named(f"resnet{depth}", width=1)
    if accepted:
        limits.check_built(net, 1)
    else:
        with pytest.raises(ValueError, match="at most 2,000 layers"):
            limits.check_built(net, 1)


def test_memory_is_a_lower_bound_that_names_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(limits, "check_memory", lambda needed, what: asked.append(needed))
    net = named("resnet20")
    limits.check_built(net, 2)
    limits.check_built(net, 2, training=True)
    cost, image = cost_of(net.operators()), 4 * 3 * 32 * 32
    params, activations = cost.params, cost.activations
    assert asked[0] == 4 * params + 2 * image
    assert asked[1] == 12 * params + 2 * image + 2 * 2 * activations


def test_a_folder_without_runs_says_so(pwoct_cost: Run, tmp_path: Path) -> None:
    run = pwoct_cost("runs", "--runs", str(tmp_path))
    assert run.code == 0
    assert f"No run in {tmp_path}".split()[0] in run.out
    assert "`pwoct-cost train` makes one" in " ".join(run.out.split())


@pytest.mark.parametrize(("rank", "said"), [("0", "pwoct-cost: stopped by SIGTERM in epoch 1\n"), ("1", "")])
def test_of_ranks_that_stop_together_the_first_says_so(
    rank: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from costmodel.commands.shared.training import reported
    from pwoct.training.signals import StoppedError

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(typer.Exit) as left, reported():
        raise StoppedError(15, "in epoch 1")
    assert left.value.exit_code == 143
    assert capsys.readouterr().err == said
