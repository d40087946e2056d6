"""Predicted times in the explorer: those of the command line, for a machine that it measured."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costmodel.explorer.machines import machines
from costmodel.networks.resnet import resnet
from costmodel.report import cell
from costmodel.speed.prediction import seconds
from costmodel.speed.roofline import Machine
from tests.commands.explorer_page import Explorer, link_of, network, random_choices
from tests.conftest import Ran

START = "#depth=56&size=32&alpha=1/4&beta=2&paths=HL,LH,LL"
TIMES = """() => Object.fromEntries([...document.querySelectorAll("[data-time]")]
  .map((node) => [node.dataset.time, node.textContent]))"""


@pytest.fixture(scope="module")
def machine_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machine") / "machine.json"


@pytest.fixture
def measured(machine_file: Path, pwoct_cost: Callable[..., Ran]) -> tuple[Path, dict[str, Any]]:
    """What `bench` prints of this machine, as a file; measured once."""
    if not machine_file.exists():
        networks = ["--alpha", "1/3,3/4", "--beta", "3", "--paths", "HL,LL"]
        settings = ["--plan", "reference", "--quick", "--dtype", "float32,bfloat16"]
        ran = pwoct_cost("bench", "resnet8", *networks, *settings, "--format", "json")
        machine_file.write_text(ran.out, encoding="utf-8")
    return machine_file, json.loads(machine_file.read_text(encoding="utf-8"))


def python_times(net: Any, machine: dict[str, Any]) -> dict[str, str]:
    times = {}
    for setting in machine["attained"]:
        rates = ("macs_per_second", "bytes_per_second", "seconds_per_call", "vector")
        found = seconds(
            net.operators(setting["batch"]),
            Machine(*(setting[key] for key in rates)),
            setting["dtype"],
            training=setting["mode"] == "training",
        )
        times[f"{setting['mode']}.{setting['dtype']}"] = f"{cell(1e3 * found, 'ratio')} ms"
    return times


def shown_times(explorer: Explorer, name: str) -> dict[str, str]:
    times: dict[str, str] = explorer.page.evaluate(TIMES)
    return {key.removeprefix(f"{name}."): text for key, text in times.items() if key.startswith(f"{name}.")}


def test_times_of_random_networks_are_pythons(explorer: Explorer) -> None:
    draw = random.Random(20261130)
    (machine, *_) = machines()
    for _ in range(20):
        choices = random_choices(draw)
        explorer.show(link_of(choices))
        assert shown_times(explorer, "this") == python_times(network(choices), machine), choices


def test_a_machine_from_a_file_gives_what_bench_printed(
    explorer: Explorer, measured: tuple[Path, dict[str, Any]]
) -> None:
    file, printed = measured
    page = explorer.page
    explorer.show("#depth=8&size=32&alpha=1/3&beta=3&paths=HL,LL")
    page.locator("#pin").click()
    page.get_by_text("A machine of your own").click()
    page.locator("#machine-file").set_input_files(file)
    page.locator("#machine option[value=loaded]").wait_for(state="attached")
    link = "#depth=8&size=32&alpha=3/4&beta=3&paths=HL,LL&machine=loaded"
    explorer.show(link + "&pin=depth:8;size:32;alpha:1/3;beta:3;paths:HL,LL")
    for setting in printed["attained"]:
        key = f"{setting['mode']}.{setting['dtype']}"
        rows = printed[key.replace(".", "_")]
        plain, _, third, most = (f"{cell(row['predicted_milliseconds'], 'ratio')} ms" for row in rows)
        shown = [shown_times(explorer, name)[key] for name in ("plain", "pinned", "this")]
        assert shown == [plain, third, most]
    assert printed["processor"] in (page.locator("#machine-said").text_content() or "")


@pytest.mark.parametrize("vector", [4, 8, 16])
def test_times_hold_for_the_vectors_of_a_machine(explorer: Explorer, tmp_path: Path, vector: int) -> None:
    """Channels that are no multiple of 4 tell the vectors apart: 16/3 and 8/3 low ones, and bottlenecks."""
    file, machine = tmp_path / "machine.json", machine_with(vector)
    file.write_text(json.dumps(machine), encoding="utf-8")
    page, draw = explorer.page, random.Random(vector)
    page.get_by_text("A machine of your own").click()
    page.locator("#machine-file").set_input_files(file)
    page.wait_for_url("**machine=loaded")
    for choices in [random_choices(draw) for _ in range(10)]:
        explorer.show(f"{link_of(choices)}&machine=loaded")
        assert shown_times(explorer, "this") == python_times(network(choices), machine), choices


def machine_with(vector: int) -> dict[str, Any]:
    """Both modes, both types and a batch, at rates at which arithmetic, traffic and calls all count."""
    rates = {"bytes_per_second": 2e10, "seconds_per_call": 1e-5, "vector": vector}
    attained = [
        {"mode": mode, "dtype": dtype, "batch": 3, "macs_per_second": {dtype: 4e10}, **rates}
        for mode in ("inference", "training")
        for dtype in ("float32", "bfloat16")
    ]
    return {"attained": attained}


def test_the_choice_of_a_machine_is_undone(explorer: Explorer, measured: tuple[Path, dict[str, Any]]) -> None:
    page = explorer.page
    before = shown_times(explorer, "this")
    page.get_by_text("A machine of your own").click()
    page.locator("#machine-file").set_input_files(measured[0])
    page.wait_for_url("**machine=loaded")
    assert shown_times(explorer, "this") != before
    page.locator("#undo").click()
    page.wait_for_url("**" + START)
    assert shown_times(explorer, "this") == before
    page.locator("#machine").select_option("loaded")
    assert shown_times(explorer, "this") != before


def test_a_link_without_its_machine_says_so(explorer: Explorer) -> None:
    explorer.show(START + "&machine=loaded")
    said = explorer.page.locator("#machine-said").text_content()
    assert said == "This link was made with a machine from a file: load that file to see its times."
    assert explorer.page.locator("#times").is_hidden()


RATES = {"macs_per_second": {"float32": 1e9}, "bytes_per_second": 1e9, "seconds_per_call": 1e-6, "vector": 8}
SETTING = {"mode": "inference", "dtype": "float32", "batch": 1, **RATES}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is no JSON"),
        ("null", "it has no list attained"),
        ("[1]", "it has no list attained"),
        (json.dumps({"attained": []}), "it has no list attained"),
        (json.dumps({"attained": [None]}), "something else than an object is in attained"),
        (json.dumps({"attained": [{**SETTING, "mode": "flight"}]}), "mode flight is in attained"),
        (json.dumps({"attained": [{**SETTING, "dtype": "int8"}]}), "dtype int8 is in attained"),
        (json.dumps({"attained": [{**SETTING, "batch": 0}]}), "batch 0 is in attained"),
        (json.dumps({"attained": [{**SETTING, "macs_per_second": {"float32": -1}}]}),
         "no rate of MACs in float32 is in attained"),
        (json.dumps({"attained": [{**SETTING, "seconds_per_call": "5us"}]}),
         "no positive seconds_per_call is in attained"),
        (json.dumps({"attained": [{**SETTING, "vector": 12}]}),
         "no vector of 4 or 8 or 16 channels is in attained"),
        (json.dumps({"attained": [{key: SETTING[key] for key in SETTING if key != "vector"}]}),
         "no vector of 4 or 8 or 16 channels is in attained"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line(explorer: Explorer, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "machine.json"
    file.write_text(text, encoding="utf-8")
    page = explorer.page
    page.get_by_text("A machine of your own").click()
    page.locator("#machine-file").set_input_files(file)
    page.locator("#error").wait_for()
    assert explorer.read()["error"] == (
        "a machine file is what pwoct-cost bench resnet20 --plan reference --format json prints, "
        f"got machine.json: {message}"
    )
    assert page.locator("#machine-file").get_attribute("aria-describedby") == "error"
    assert explorer.read()["link"] == START


def test_machines_of_the_page_name_their_hardware() -> None:
    for machine in machines():
        assert machine["processor"]
        assert machine["threads"] >= 1
        assert machine["clock"] in ("processor time", "wall time")
        assert {setting["mode"] for setting in machine["attained"]} == {"inference", "training"}


def test_a_time_depends_on_what_runs() -> None:
    """Bottlenecks make more calls: where calls cost much, they take longer, with fewer MACs."""
    dear = Machine({"float32": 1e12}, 1e12, 1e-3)
    plain, compressed = (
        resnet(8, alpha="1/4", paths=paths).operators(1) for paths in ((), ("HL", "LH", "LL"))
    )
    assert seconds(compressed, dear, "float32") > seconds(plain, dear, "float32")
