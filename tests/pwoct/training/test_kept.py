"""Records of finished runs: a changed digit is found, by the digest and by recomputation where it follows."""

import copy
import json
import math
import re

import pytest

from pwoct.training import contradictions, kept
from pwoct.training.config import Schedule
from pwoct.training.record import RunError, RunFolder
from pwoct.training.schedule import rate_factor
from pwoct.training.train import train
from tests.pwoct.training.tiny import tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("kept") / "run"
    train(tiny(data__dataset="synthetic"), images, folder)
    return RunFolder(folder)


@pytest.fixture(scope="module")
def record(run):
    return kept.keep(run)


def leaves(value, path=()):
    """The path of every number and text."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*path, key))
    elif not isinstance(value, bool) and value is not None:
        yield path


def changed(record, path):
    """The record with one digit or letter changed."""
    other = copy.deepcopy(record)
    *parents, last = path
    place = other
    for key in parents:
        place = place[key]
    value = place[last]
    if isinstance(value, str):
        place[last] = ("x" if value[:1] != "x" else "y") + value[1:]
    elif isinstance(value, int):
        place[last] = value + 1
    else:
        place[last] = math.nextafter(value, math.inf)  # the smallest change that JSON shows
    return other


def sealed(record):
    return {**record, "sha256": contradictions.digest(record)}


def test_a_record_holds_the_run_and_nothing_contradicts_it(run, record):
    assert contradictions.faults(record) == []
    result = run.result()
    assert (record["name"], record["accuracy"], record["correct"]) == (
        run.name,
        result.accuracy,
        result.correct,
    )
    assert record["metrics"] == run.history()
    assert record["config"] == run.config().model_dump(mode="json")
    assert record["sessions"] == run.sessions()
    assert json.loads(kept.as_text(record)) == record


def test_every_changed_digit_is_found(record):
    paths = list(leaves(record))
    assert len(paths) > 80  # of 2 epochs, a session and the configuration
    assert [path for path in paths if not contradictions.faults(changed(record, path))] == []


def texts_of_the_same_values(text):
    """Yield texts that differ from a record's, but are read as the same values."""
    yield text.replace("\n", "", 1)
    yield text.replace('"correct": ', '"correct": 0, "correct": ', 1)
    changes = 0
    for found in re.finditer(r"\d\.\d{15,}(?!\d|e)", text):
        for last in "0123456789":
            other = found[0][:-1] + last
            if other != found[0] and float(other) == float(found[0]):
                changes += 1
                yield text[: found.start()] + other + text[found.end() :]
    assert changes


def test_a_changed_text_of_the_same_values_is_found(record, tmp_path):
    record = copy.deepcopy(record)
    record["metrics"][0]["train_loss"] = 0.44710462036132814  # its last digit may be 2, too
    record = sealed(record)
    path = kept.write(record, tmp_path)
    text = path.read_text(encoding="utf-8")
    assert kept.read_folder(tmp_path).contradictions == []
    for other in texts_of_the_same_values(text):
        assert json.loads(other) == record
        path.write_text(other, encoding="utf-8")
        (found,) = kept.read_folder(tmp_path).contradictions
        assert "its text is not what is written for its values" in found
    path.write_text(text.replace("\n", "\r\n"), encoding="utf-8")
    assert kept.read_folder(tmp_path).contradictions == []


LINE = ("epoch", "step", "rate", "train_accuracy", "test_accuracy", "seconds", "images_per_second")


@pytest.mark.parametrize(
    "path",
    [
        *(("accuracy",), ("correct",), ("images",), ("epoch",), ("epochs",), ("seed",), ("parameters",)),
        *(("data",), ("schema",), ("config", "seed"), ("config", "epochs"), ("config", "batch")),
        *(("config", "model", "width"), ("config", "machine", "threads"), ("config", "optimiser", "lr")),
        *((("metrics", epoch, key)) for epoch in (0, 1) for key in LINE),
        ("sessions", 0, "data"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_what_follows_is_computed_again_whatever_the_digest(path, record):
    other = copy.deepcopy(record)
    place = other
    for key in path[:-1]:
        place = place[key]
    value = place[path[-1]]
    place[path[-1]] = f"x{value}" if isinstance(value, str) else value * 1.001 if value % 1 else value + 1
    assert contradictions.faults(sealed(other)) != []


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ({"beta": ["1000"], "paths": ["HL"], "alpha": ["1/4"]}, "its network does not exist: beta must be"),
        (
            {"width": 10**9},
            "its network does not exist: no run has a width above 1,048,576, got 1,000,000,000",
        ),
        (
            {"width": 10**25},
            "its network does not exist: no run has a width above 1,048,576, got 10,000,000,000",
        ),
        ({"name": "resnet7"}, "model.name must be resnetN"),
    ],
)
def test_a_network_that_cannot_exist_is_a_fault(model, fault, record):
    other = copy.deepcopy(record)
    other["config"]["model"].update(model)
    assert [found for found in contradictions.faults(sealed(other)) if found.startswith(fault)]


def test_a_headline_moved_with_its_count_is_found(record):
    images = record["images"]
    other = {**record, "correct": record["correct"] + 1, "accuracy": (record["correct"] + 1) / images}
    assert [fault for fault in contradictions.faults(sealed(other)) if "of the last epoch" in fault]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"metrics": []}, "metrics is empty"),
        ({"sessions": []}, "sessions is empty"),
        ({"images": 0}, "images must be greater than or equal to 1, got 0"),
        ({"accuracy": "0.5"}, "accuracy must be a valid number, got '0.5'"),
        ({"accuracy": float("nan")}, "accuracy must be a finite number, got nan"),
        ({"config": {}}, "recipe is missing"),
        ({"metrics": [{"epoch": 1}]}, "step is missing"),
    ],
)
def test_what_is_no_record_is_named(change, fault, record):
    assert fault in "; ".join(contradictions.faults({**record, **change}))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"chosen_by": "best epoch"}, "chosen_by is best epoch, but last epoch is the configuration's"),
        ({"unwritten": ["weights"]}, "unwritten is ['weights'], but a finished run has all its files"),
        ({"failures": -3}, "failures must be greater than or equal to 0, got -3"),
        ({"correct": 10**400}, "a number in it is larger than any run has"),
    ],
)
def test_what_a_finished_run_cannot_say_is_found(change, fault, record):
    assert fault in "; ".join(contradictions.faults(sealed({**record, **change})))


@pytest.mark.parametrize("started", ["yesterday", "", "2026-11-29T12:00:00"])  # the last without a time zone
def test_a_session_starts_at_a_time(started, record):
    other = copy.deepcopy(record)
    other["sessions"][0]["started"] = started
    found = "; ".join(contradictions.faults(sealed(other)))
    assert f"must have started at a time such as 2026-11-29T12:00:00+00:00, got {started}" in found


def test_the_test_set_of_cifar10_has_ten_thousand_images(record):
    config = copy.deepcopy(record["config"])
    config["data"]["dataset"] = "cifar10"
    found = "; ".join(contradictions.faults(sealed({**record, "config": config})))
    assert f"images is {record['images']}, but 10000 is the size of the test set" in found


def test_a_warm_up_longer_than_any_run_is_a_run_of_warm_up():
    assert rate_factor(Schedule(name="one_cycle", warmup=1e308), 0, 10, 2) == pytest.approx(1 / 20)


@pytest.mark.parametrize("value", [None, [], 3, "text", {}])
def test_other_values_are_no_records(value):
    assert contradictions.faults(value)


def test_records_of_one_set_have_one_fingerprint_and_weights_of_their_own(record):
    other = {**record, "name": "other", "weights_sha256": "0", "data": "other"}
    assert contradictions.disagreements([record, {**other, "data": record["data"]}]) == []
    assert contradictions.disagreements([record, other]) == [
        "other and run have different data under the name synthetic"
    ]
    assert contradictions.disagreements([record, {**record, "name": "copy"}]) == [
        "copy and run have the same weights"
    ]


def test_a_file_is_not_replaced_by_another_record(record, tmp_path):
    path = kept.write(record, tmp_path / "records")
    assert kept.write(record, tmp_path / "records") == path
    with pytest.raises(RunError, match=r"run.json holds a different record"):
        kept.write(sealed({**record, "seed": 1}), tmp_path / "records")
    assert json.loads(path.read_text(encoding="utf-8")) == record


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_hides_no_other_fault(content, record, tmp_path):
    sound = kept.write(record, tmp_path)
    (tmp_path / "damaged.json").write_bytes(content)
    (tmp_path / "other.json").write_bytes(sound.read_bytes())
    first, second = kept.read_folder(tmp_path).contradictions
    assert first.startswith(f"{tmp_path / 'damaged.json'}: cannot be read as JSON: ")
    assert second == f"{tmp_path / 'other.json'}: its name is {record['name']}"


def test_a_run_that_contradicts_itself_is_not_recorded(images, tmp_path):
    train(tiny(data__dataset="synthetic"), images, tmp_path / "run")
    file = tmp_path / "run" / "result.json"
    result = json.loads(file.read_text())
    file.write_text(json.dumps({**result, "correct": result["correct"] + 1}))
    with pytest.raises(RunError, match="contradicts itself: accuracy is "):
        kept.keep(RunFolder(tmp_path / "run"))
    file.unlink()
    with pytest.raises(RunError, match="is not finished: only finished runs are recorded"):
        kept.keep(RunFolder(tmp_path / "run"))


def test_another_set_under_the_name_of_cifar10_is_found(images, tmp_path):
    train(tiny(), images, tmp_path / "run")
    with pytest.raises(RunError, match=r"data is 70b5.* but 13ce.* is the fingerprint of the official files"):
        kept.keep(RunFolder(tmp_path / "run"))
