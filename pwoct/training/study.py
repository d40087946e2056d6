"""A study: networks times seeds, each run in its own folder, distributed over machines by shards."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pwoct.training.checkpoint import CheckpointError
from pwoct.training.config import Config, MachineSettings, compose, default_name, differences, flatten
from pwoct.training.data import Dataset
from pwoct.training.record import BusyError, DamagedError, Result, RunError, RunFolder, conflicts
from pwoct.training.reporter import Reporter
from pwoct.training.saver import DivergedError
from pwoct.training.signals import Signals
from pwoct.training.train import train


class UnwrittenError(Exception):
    """A run was trained to its end, but one of its files could not be written."""


# Errors that concern one run and do not keep the others from being trained.
ENDS_ONE_RUN = (DivergedError, CheckpointError, RunError, UnwrittenError)


@dataclass(frozen=True)
class Shard:
    """One of several parts of a study: the runs whose position, counted from 1, is `number` modulo `of`."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read "1/4".

        Raises:
            ValueError: if it does not name part of a whole.

        >>> Shard.parse("2/4")
        Shard(number=2, of=4)
        """
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise ValueError(f"a shard must be like 1/4, the first of four, got {text}")
        return cls(int(number), int(of))

    def take(self, runs: Sequence[Config]) -> list[Config]:
        """Return the runs of this part; every run is in exactly one."""
        return list(runs[self.number - 1 :: self.of])


@dataclass(frozen=True)
class Study:
    """The runs of a study, the folder that holds them, and the fingerprint of their images if it is known."""

    folder: Path
    runs: tuple[Config, ...]
    fingerprint: str | None = None

    @property
    def threads(self) -> int | None:
        """The number of threads of each run; None if the machine decides."""
        return self.runs[0].machine.threads or None

    def with_threads(self, threads: int) -> "Study":
        """Return the same study with a different number of threads per run."""
        machine = {"threads": threads}
        runs = (
            run.model_copy(update={"machine": run.machine.model_copy(update=machine)}) for run in self.runs
        )
        return replace(self, runs=tuple(runs))

    def path(self, run: Config) -> Path:
        """Return the folder of a run; its name does not depend on the machine."""
        return self.folder / default_name(run.model_copy(update={"machine": MachineSettings()}))

    def result(self, run: Config) -> Result | None:
        """Return the result of a run, from any machine; None if it is not finished.

        Raises:
            RunError: if its folder holds a different run, or one that was trained on different images.
            DamagedError: if its result contradicts itself.
        """
        result = RunFolder(self.path(run)).result()
        if result is None:
            return None
        changed = [key for key in differences(Config.model_validate(result.config), run) if not _machine(key)]
        if changed:
            raise RunError(f"{self.path(run)} holds a run with different values of {', '.join(changed)}")
        if self.fingerprint not in (None, result.data):
            raise RunError(f"{self.path(run)} holds a run on different images of {run.data.dataset}")
        if found := _conflicts(result):
            raise DamagedError(f"{self.path(run)} contradicts itself: {found}")
        return result

    def state(self, run: Config) -> str:
        """Return the state of a run: done, begun, open, or damaged."""
        try:
            done = self.result(run) is not None
        except RunError:
            return "damaged"
        if done:
            return "done"
        return "begun" if self.path(run).is_dir() else "open"

    def results(self) -> list[Result]:
        """Return the results of the finished runs; damaged ones are left out."""
        sound = [run for run in self.runs if self.state(run) == "done"]
        return [result for run in sound if (result := self.result(run)) is not None]


def plan(
    folder: Path,
    networks: Iterable[Mapping[str, Any]],
    seeds: Iterable[int],
    *,
    recipe: str = "fast",
    values: Mapping[str, Any] | None = None,
) -> Study:
    """Return a study: all networks with the first seed, then all with the second, and so on.

    Args:
        folder: The folder that holds the runs.
        networks: Configuration keys of each network, such as model.alpha.
        seeds: Seeds of each network.
        recipe: Training recipe of all runs.
        values: Further configuration keys of all runs.

    Raises:
        ConfigError: if a key is unknown or has a wrong value.

    >>> study = plan(Path("runs"), [{"model.alpha": 0}, {"model.alpha": 0.5}], [0, 1])
    >>> [study.path(run).name for run in study.runs[:2]]
    ['resnet20-fast-seed0', 'resnet20-a0.5-fast-seed0']
    """
    networks = list(networks)
    runs = [
        compose(recipe, values={**(values or {}), **network, "seed": seed})
        for seed in seeds
        for network in networks
    ]
    return Study(folder, tuple(dict.fromkeys(runs)))


Reporting = Callable[[Path], AbstractContextManager[Reporter | None]]


def carry_out(
    study: Study,
    dataset: Dataset,
    shard: Shard | None = None,
    *,
    reporting: Reporting = lambda _: nullcontext(),
    note: Callable[[str], object] = lambda _: None,
    signals: Signals | None = None,
) -> dict[str, Exception]:
    """Train a shard's unfinished runs, each from its current state; return the errors that ended runs.

    A run that another process is training is left to it. One that diverged, is damaged, could not be written
    or was finished on other images does not keep the others from being trained. Raises what else `train`
    raises.
    """
    troubles: dict[str, Exception] = {}
    for run in (shard or Shard()).take(study.runs):
        trouble = carry_out_run(study, run, dataset, reporting=reporting, note=note, signals=signals)
        if trouble is not None:
            troubles[study.path(run).name] = trouble
    return troubles


def carry_out_run(
    study: Study,
    run: Config,
    dataset: Dataset,
    *,
    reporting: Reporting = lambda _: nullcontext(),
    note: Callable[[str], object] = lambda _: None,
    signals: Signals | None = None,
) -> Exception | None:
    """Train one run of a study from its current state; return the error that ended it, if any."""
    study, folder = replace(study, fingerprint=dataset.fingerprint), study.path(run)
    try:
        if study.result(run) is not None:
            note(f"{folder.name}: done before")
            return None
        note(f"{folder.name}: training")
        with reporting(folder) as reporter:
            allowed = _machine_keys(run)
            result = train(run, dataset, folder, reporter=reporter, allow_change=allowed, signals=signals)
        if result.unwritten:
            raise UnwrittenError(f"finished, but could not write: {', '.join(result.unwritten)}")
    except BusyError:
        note(f"{folder.name}: skipped: another process is training it")
    except ENDS_ONE_RUN as error:
        note(f"{folder.name}: {error}")
        return error
    return None


def _conflicts(result: Result) -> str:
    try:
        return "; ".join(conflicts(asdict(result), Config.model_validate(result.config)))
    except OverflowError:
        return "a number in its result is larger than any run has"


def _machine(key: str) -> bool:
    return key.startswith("machine.")


def _machine_keys(run: Config) -> list[str]:
    """A run may resume on another machine; its record says so."""
    return [key for key in flatten(run) if _machine(key)]
