from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pwoct.training import study as module
from pwoct.training.config import Config
from pwoct.training.record import BusyError, DamagedError, Result, RunError, RunFolder
from pwoct.training.saver import DivergedError
from pwoct.training.study import Shard, Study, carry_out, plan
from pwoct.training.synthetic import synthetic

NETWORKS = [{"model.alpha": "0"}, {"model.alpha": "1/2"}]


def result(run: Config, name: str = "run") -> Result:
    """How a run might have ended."""
    return Result(
        name=name,
        accuracy=0.5,
        correct=5,
        images=10,
        loss=1.0,
        epoch=1,
        epochs=run.epochs,
        chosen_by="last epoch",
        parameters=1,
        minutes=1.0,
        seed=run.seed,
        config=run.model_dump(mode="json"),
        data="",
        changes=(),
        failures=0,
    )


IMAGES = synthetic(20, 10, 8)


def finish(study: Study, run: Config) -> None:
    folder = study.path(run)
    folder.mkdir(parents=True)
    RunFolder(folder).write_result(replace(result(run), data=IMAGES.fingerprint))


def test_every_network_has_its_first_seed_before_its_second(tmp_path: Path) -> None:
    runs = plan(tmp_path, NETWORKS, [0, 1]).runs
    assert [(run.seed, run.model.alpha[0]) for run in runs] == [(0, "0"), (0, "1/2"), (1, "0"), (1, "1/2")]


def test_the_same_run_is_planned_once(tmp_path: Path) -> None:
    assert len(plan(tmp_path, [*NETWORKS, *NETWORKS], [0]).runs) == 2


def test_the_name_of_a_run_is_the_same_on_every_machine(tmp_path: Path) -> None:
    here, there = (
        plan(tmp_path, NETWORKS, [0], values={"machine.threads": threads, "machine.device": device})
        for threads, device in ((1, "cpu"), (8, "cuda"))
    )
    assert [here.path(run) for run in here.runs] == [there.path(run) for run in there.runs]


def test_a_run_that_ended_on_another_machine_is_done(tmp_path: Path) -> None:
    here = plan(tmp_path, NETWORKS, [0], values={"machine.threads": 8})
    there = plan(tmp_path, NETWORKS, [0], values={"machine.threads": 1})
    finish(there, there.runs[0])
    assert [here.state(run) for run in here.runs] == ["done", "open"]
    assert [found.accuracy for found in here.results()] == [0.5]


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    study = plan(tmp_path, NETWORKS, [0])
    other = study.runs[0].model_copy(update={"batch": 7})
    study.path(study.runs[0]).mkdir()
    RunFolder(study.path(study.runs[0])).write_result(result(other))
    with pytest.raises(RunError, match="holds a run with different values of batch"):
        study.result(study.runs[0])


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_every_run_is_in_exactly_one_shard(tmp_path: Path, of: int) -> None:
    runs = plan(tmp_path, NETWORKS, range(3)).runs
    parts = [Shard(number, of).take(runs) for number in range(1, of + 1)]
    assert sorted(run.model_dump_json() for part in parts for run in part) == sorted(
        run.model_dump_json() for run in runs
    )


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "a/b", "-1/4", "1/4/4"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(ValueError, match="a shard must be like 1/4, the first of four"):
        Shard.parse(text)


def test_done_busy_and_diverging_runs_do_not_stop_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = plan(tmp_path, NETWORKS, [0, 1])
    done, busy, diverging, fine = study.runs
    finish(study, done)
    trained = []

    def train(run: Config, *_: object, **__: object) -> Result:
        trained.append(run)
        if run == busy:
            raise BusyError("being trained")
        if run == diverging:
            raise DivergedError("the loss is not finite")
        return replace(result(run))

    monkeypatch.setattr(module, "train", train)
    notes: list[str] = []
    troubles = carry_out(study, IMAGES, note=notes.append)
    assert trained == [busy, diverging, fine]
    assert list(troubles) == [study.path(diverging).name]
    told = "\n".join(notes)
    for words in ("done before", "skipped: another process", "the loss is not finite"):
        assert words in told


def test_a_run_that_ended_on_other_images_is_not_done(tmp_path: Path) -> None:
    study = plan(tmp_path, NETWORKS[:1], [0])
    (run,) = study.runs
    finish(study, run)
    notes: list[str] = []
    others = synthetic(20, 10, 4)
    troubles = carry_out(study, others, note=notes.append)
    message = f"{study.path(run)} holds a run on different images of cifar10"
    assert str(troubles[study.path(run).name]) == message
    assert notes == [f"{study.path(run).name}: {message}"]
    assert replace(study, fingerprint=IMAGES.fingerprint).state(run) == "done"
    there = replace(study, fingerprint=others.fingerprint)
    assert (there.state(run), there.results()) == ("damaged", [])


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("accuracy", 0.6, "accuracy is 0.6, but 0.5 is correct / images"),
        ("correct", 6, "accuracy is 0.5, but 0.6 is correct / images"),
        ("seed", 1, "seed is 1, but 0 is the configuration's"),
        ("epochs", 31, "epochs is 31, but 30 is the configuration's"),
        ("epoch", 31, "epoch is 31 of 30"),
        ("correct", 10**400, "a number in its result is larger than any run has"),
    ],
)
def test_a_changed_digit_damages_one_run_alone(tmp_path: Path, key: str, value: float, fault: str) -> None:
    study = plan(tmp_path, NETWORKS, [0])
    for run in study.runs:
        finish(study, run)
    changed = replace(result(study.runs[0]), **{key: value})
    RunFolder(study.path(study.runs[0])).write_result(changed)
    with pytest.raises(DamagedError) as raised:
        study.result(study.runs[0])
    assert str(raised.value) == f"{study.path(study.runs[0])} contradicts itself: {fault}"
    assert [study.state(run) for run in study.runs] == ["damaged", "done"]
