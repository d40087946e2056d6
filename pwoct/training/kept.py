"""Kept records: a finished run as one JSON file without weights.

A record holds the result with its configuration, the sessions with environment and commit, the metrics of
every epoch, and the SHA-256 of the weights. `contradictions` recomputes every value that follows from others.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pwoct.training.checkpoint import write_atomically
from pwoct.training.contradictions import SCHEMA, Record, digest, disagreements, faults
from pwoct.training.record import RunError, RunFolder
from pwoct.training.text import read_json, read_text


def keep(run: RunFolder) -> dict[str, Any]:
    """Return the record of a finished run.

    Raises:
        RunError: if the run is not finished, or its files contradict one another.
        DamagedError: if a file of the run is damaged.
    """
    result = run.result()
    if result is None:
        raise RunError(f"{run.path} is not finished: only finished runs are recorded")
    if (fault := run.incomplete(result)) is not None:
        raise RunError(f"{run.path} contradicts itself: {fault}")
    record = {
        "schema": SCHEMA,
        **asdict(result),
        "sessions": run.sessions(),
        "metrics": run.history(),
        "weights_sha256": hashlib.sha256(run.weights.read_bytes()).hexdigest(),
    }
    record["sha256"] = digest(record)
    if found := faults(record):
        raise RunError(f"{run.path} contradicts itself: {'; '.join(found)}")
    return record


def write(record: Record, folder: Path) -> Path:
    """Write a record into a folder under the name of its run, and return the file.

    Raises:
        RunError: if the file exists with different content.
        OSError: if it cannot be written; then it is not there.
    """
    path = folder / f"{record['name']}.json"
    text = as_text(record)
    if path.exists() and read_text(path) != text:
        raise RunError(f"{path} holds a different record: move it away, or give the run another name")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return path


def as_text(record: Record) -> str:
    """Return a record as JSON: one line per key, per epoch and per session."""
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {_value(record[key])}" for key in record) + "\n}\n"


@dataclass(frozen=True)
class Records:
    """The records in a folder by file, what is wrong within each, and contradictions between sound ones.

    The content of a file that cannot be read as JSON is None.
    """

    content: dict[Path, Any]
    faults: dict[Path, list[str]]
    between: list[str]

    @property
    def contradictions(self) -> list[str]:
        """All contradictions, each with the file or the records that it is in."""
        within = [f"{path}: {fault}" for path, several in self.faults.items() for fault in several]
        return within + self.between


def read_folder(folder: Path) -> Records:
    """Return the records in a folder, each of them checked.

    Raises:
        RunError: if the folder does not exist or has no records.
    """
    if not folder.is_dir():
        raise RunError(f"no records in {folder}, which is not a folder")
    if not (paths := sorted(folder.glob("*.json"))):
        raise RunError(f"no records in {folder}")
    records, found = {}, {}
    for path in paths:
        try:
            records[path] = read_json(path)
        except (OSError, ValueError) as error:
            records[path], found[path] = None, [f"cannot be read as JSON: {error}"]
        else:
            found[path] = _faults_of_file(path, records[path])
    sound = [record for path, record in records.items() if not found[path]]
    return Records(records, found, disagreements(sound))


def _faults_of_file(path: Path, record: Any) -> list[str]:
    found = faults(record)
    if not found and record["name"] != path.stem:
        found.append(f"its name is {record['name']}")
    # A number may have more digits than its value tells apart, and a key may stand twice.
    if not found and read_text(path) != as_text(record):
        found.append("its text is not what is written for its values: a digit or a key was changed")
    return found


def _value(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"  {json.dumps(part)}" for part in value) + "\n ]"
    return json.dumps(value)
