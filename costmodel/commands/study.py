"""`pwoct-cost study`: trains the networks of one of the paper's tables, and runs its selection step."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.datasets import data_folder, open_dataset
from costmodel.commands.shared.errors import require, say
from costmodel.commands.shared.fleet import fleet
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.ranks import is_first_rank, ranks_started
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.training import (
    DataOption,
    RunsOption,
    end_by,
    given,
    reported,
    reporter,
    seed_list,
    stoppable,
)
from costmodel.commands.shared.vocabulary import option
from costmodel.paper import selection
from costmodel.paper.printed import read_paper
from costmodel.report import Column, Table, counted
from costmodel.sizes import check_choice

if TYPE_CHECKING:
    from pwoct.training.config import Data
    from pwoct.training.data import Dataset
    from pwoct.training.signals import Signals
    from pwoct.training.study import Shard, Study

app = typer.Typer(add_completion=False)

FROZEN = "all but 1x1: the bottlenecks' 1x1 convolutions are frozen; the printed parameters leave them out."
TABLES = {f"table{number}": number for number in selection.BASELINES}


@app.command()
def study(
    ctx: typer.Context,
    table: Annotated[str, typer.Argument(help=f"The table whose networks are trained: {', '.join(TABLES)}.")],
    depth: Annotated[int | None, option("study-depth")] = None,
    recipe: Annotated[str, option("recipe")] = "fast",
    set: Annotated[list[str] | None, option("set")] = None,
    seeds: Annotated[str, option("seeds")] = "0-4",
    epochs: Annotated[int | None, option("epochs")] = None,
    shard: Annotated[str, option("shard")] = "1/1",
    dataset: Annotated[str | None, option("dataset")] = None,
    data: DataOption = None,
    cluster: Annotated[str | None, option("cluster")] = None,
    runs: RunsOption = Path("runs"),
    dry_run: Annotated[bool, option("dry-study")] = False,
    quiet: Annotated[bool, option("quiet")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Train the networks of a table of the PwiseOct paper (Inoue and Gotoh), each run in its own folder.

    Finished runs are not repeated. Ends with the selection step of section 5.2: for each path, accuracy lost
    against parameters saved. A run that diverges, is damaged or was trained on other images does not stop the
    others; exit code 1, 2 or 5 reports it at the end.
    """
    said = Question.of(ctx).said()
    with stoppable() as signals, reported():
        from pwoct.training.config import parse_setting
        from pwoct.training.study import Shard, plan

        networks = selection.networks(read_paper(), _table(table), depth)
        settings = _settings(dict(parse_setting(text) for text in set or []))
        options = given({"epochs": epochs, "data.dataset": dataset})
        planned = plan(
            runs,
            [network.settings() for network in networks],
            seed_list(seeds),
            recipe=recipe,
            values={**settings, **options},
        )
        part = Shard.parse(shard)
        chosen = planned.runs[0].data
        if dry_run:
            planned = replace(planned, fingerprint=_fingerprint(chosen, data))
            frozen = any(network.frozen for network in networks)
            show("study", [_plan_table(planned, part)], format, said, notes=[FROZEN] if frozen else [])
            return
        dataset_name = chosen.dataset
        images = open_dataset(chosen, data)
        planned = replace(planned, fingerprint=images.fingerprint)
        where = _cluster(cluster, planned.threads, len(part.take(planned.runs)))
        if where is None:
            troubles = _in_this_process(planned, images, part, quiet, signals)
        else:
            folder = data_folder(dataset_name, data)
            troubles = _on_cluster(where, planned, folder, part, quiet, signals)
        if is_first_rank():
            _show_results(planned, networks, dataset_name, format, said)
    end_by(troubles, len(part.take(planned.runs)))


def _fingerprint(data: Data, where: Path | None) -> str | None:
    """Return the fingerprint of the images, or None if they are not there: a plan needs none."""
    from pwoct.training.data import DataError

    try:
        return open_dataset(data, where).fingerprint
    except DataError:
        return None


def _cluster(asked: str | None, threads: int | None, runs: int) -> str | None:
    """Return the address of the cluster, "local" for a new one, or None to train in this process.

    Raises ValueError if the requested cluster is not available.
    """
    from importlib.util import find_spec

    if asked == "none" or (asked is None and (ranks_started() > 1 or find_spec("distributed") is None)):
        return None
    require("distributed", "cluster")
    if asked not in (None, "local") and "://" not in asked:
        raise ValueError(
            "--cluster must be local, none or the address of a Dask scheduler such as tcp://10.0.0.1:8786, "
            f"got {asked}"
        )
    if ranks_started() > 1:
        raise ValueError(
            f"--cluster {asked} can't be used with torchrun: each worker of a cluster trains in one process"
        )
    from pwoct.training.cluster import local_shape

    if asked is None and local_shape(threads, runs)[0] == 1:
        return None
    return asked or "local"


def _in_this_process(
    planned: Study, images: Dataset, part: Shard, quiet: bool, signals: Signals
) -> dict[str, Exception]:
    from pwoct.training.study import carry_out

    silent = quiet or not is_first_rank()
    return carry_out(
        planned,
        images,
        part,
        reporting=lambda folder: reporter(folder, quiet, tensorboard=False),
        note=(lambda _: None) if silent else lambda text: say(f"pwoct-cost: {text}"),
        signals=signals,
    )


def _on_cluster(
    address: str, planned: Study, data: Path | None, part: Shard, quiet: bool, signals: Signals
) -> dict[str, Exception]:
    from pwoct.training.cluster import carry_out_on, connected

    runs = len(part.take(planned.runs))
    with connected(address, planned.threads, runs) as (client, threads), fleet(runs, quiet) as shown:
        study = planned.with_threads(threads)
        return carry_out_on(client, study, data, part, watcher=shown, note=shown.note, signals=signals)


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of all runs. Raises ValueError if one is the table's or the seeds'."""
    for key in given:
        if key == "seed" or key.startswith("model."):
            source = "--seeds gives the seeds" if key == "seed" else "the table gives the networks"
            raise ValueError(f"{source} of a study, got --set {key}: `pwoct-cost train` trains any run")
    return given


def _table(name: str) -> int:
    check_choice("table", name, TABLES)
    return TABLES[name]


def _plan_table(planned: Study, part: Shard) -> Table:
    """Return one row per run of the shard: its folder, its network, and its state."""
    rows = [
        {
            "run": planned.path(run).name,
            "trained": "all but 1x1" if run.model.freeze_pointwise else "all",
            "state": planned.state(run),
        }
        for run in part.take(planned.runs)
    ]
    title = f"{len(rows)} of {counted(len(planned.runs), 'run')}"
    columns = [Column("run", "run"), Column("trained", "trained"), Column("state", "state")]
    return Table("plan", title, columns, rows)


def _show_results(
    planned: Study, networks: list[selection.StudyNetwork], dataset: str, format: Format, said: dict[str, Any]
) -> None:
    from costmodel.paper.records import record

    results = planned.results()
    records = [record(asdict(result)) for result in results]
    found = selection.losses(networks, records, dataset)
    tables = [
        selection.accuracy_table(networks, records, dataset),
        selection.loss_table(found),
        selection.selection_table(selection.selections(found)),
    ]
    missing = len(planned.runs) - len(results)
    notes = [f"{missing} of {counted(len(planned.runs), 'run')} not done yet."] if missing else []
    payload = {"runs": len(planned.runs), "done": len(results)} | said
    show("study", [table for table in tables if table.rows], format, payload, notes=notes)
