from __future__ import annotations

from typing import Any

import pytest

from costmodel.paper.printed import Paper
from costmodel.paper.records import Record, record
from costmodel.paper.selection import StudyNetwork, losses, networks, selections
from tests.costmodel.paper.test_records import result

TABLE_2 = {"HH": 0.9119, "HL": 0.9311, "LH": 0.9338, "LL": 0.9327}  # alpha 1/4, as the paper prints it


def runs(accuracies: dict[str, float], spread: float, **changes: Any) -> list[Record]:
    """Two runs a path, each off by `spread` from the accuracy given."""
    return [
        record(result(accuracy + sign * spread, seed, paths=[path], **changes))
        for path, accuracy in accuracies.items()
        for seed, sign in enumerate((-1, 1))
    ]


def test_the_papers_own_accuracies_lead_to_its_own_choice(paper: Paper) -> None:
    records = runs({"": 0.9313, **TABLE_2}, 0.001)
    found = losses(networks(paper, 2), records)
    assert {loss.network.row.path_text: round(loss.lost, 2) for loss in found} == {
        "HH": 1.94,
        "HL": 0.02,
        "LH": -0.25,
        "LL": -0.14,
    }
    (choice,) = selections(found)
    assert (choice.left_out, choice.paths) == ("HH", ["HL", "LH", "LL"])
    assert choice.margin == pytest.approx(1.92)
    # Two runs 0.1 points off their mean: sd sqrt(2)/10, error of the mean 0.1, of a difference sqrt(2)/10.
    assert choice.error == pytest.approx(0.02**0.5)


def test_parameters_are_saved_both_ways(paper: Paper) -> None:
    found = losses(networks(paper, 2), runs({"": 0.93, "LH": 0.93}, 0.001))
    (loss,) = found
    assert loss.saved_as_printed == 859_658 - 824_990
    assert loss.saved_in_full == 855_578 - 855_326
    assert loss.lost_per_saved == pytest.approx(0)


def test_no_choice_before_all_paths_are_measured(paper: Paper) -> None:
    records = runs({"": 0.93, "HH": 0.91, "HL": 0.93, "LH": 0.93}, 0.001)
    assert selections(losses(networks(paper, 2), records)) == []


def test_runs_of_other_recipes_are_not_compared(paper: Paper) -> None:
    base, other = result(0.93, paths=[""]), result(0.92, paths=["HH"])
    other["config"]["epochs"] = 2
    assert losses(networks(paper, 2), [record(base), record(other)]) == []


def test_a_table_needs_its_rows_and_what_they_are_compared_with(paper: Paper) -> None:
    labels = {table: [network.label for network in networks(paper, table)] for table in (1, 2, 3, 4)}
    assert len(labels[1]) == 5 + 1
    assert labels[1][-1] == "Pwise-56 0.25 all, 1x1 frozen"
    assert len(labels[2]) == 8 + 2
    assert labels[2][:2] == ["Oct-56 0.25", "Oct-56 0.75"]
    assert len(labels[3]) == 4 + 4
    assert len(labels[4]) == 7 + 1


def test_every_network_with_bottlenecks_has_its_octave_network(paper: Paper) -> None:
    for table in (1, 2, 3, 4):
        chosen = networks(paper, table, depth=20)
        bases = {network.row.alpha for network in chosen if not network.row.paths}
        assert {network.row.alpha for network in chosen} <= bases
        assert {network.depth for network in chosen} == {20}


def test_settings_of_a_run(paper: Paper) -> None:
    frozen = StudyNetwork(paper.by_key["3.2"], 20, frozen=True)
    assert frozen.settings() == {
        "model.name": "resnet20",
        "model.alpha": "1/4",
        "model.paths": "HH,HL,LH",
        "model.freeze_pointwise": True,
    }


def test_the_trained_parameters_are_those_of_the_module(paper: Paper) -> None:
    from pwoct.training.config import compose
    from pwoct.training.learner import build_model

    for frozen, trained in ((True, 306_794), (False, 409_482)):
        network = StudyNetwork(paper.by_key["1.3"], 56, frozen=frozen)
        model = build_model(compose("fast", values=network.settings()).model, classes=10, in_channels=3)
        found = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        assert network.trained() == found == trained
