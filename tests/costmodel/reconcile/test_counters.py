"""The rules against the counters themselves: what is predicted is what each says, to the last unit."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from costmodel.reconcile.asking import Asked, Said, _said, ask
from costmodel.reconcile.bridge import Prediction, predict
from costmodel.reconcile.events import Seen
from costmodel.reconcile.exporting import observe_exported, predict_alone, predict_exported
from costmodel.reconcile.installed import installed_version, is_same_version, run
from costmodel.reconcile.locating import locate
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import ORDER, counters
from tests.costmodel.reconcile.networks import CONVERTED, NETWORKS, input_of, make
from tests.costmodel.reconcile.random_networks import BLOCKS, network

IN_CI = ("torch", "fvcore", "ptflops", "ptflops-aten", "thop", "torchinfo", "torchprofile")
HERE = Path(__file__).parent / "networks.py"
# Networks that torch can't export, and others on which the counter itself stops with an error.
NOT_EXPORTED = frozenset({"encoder", "bilinear_layer", "lstm_projected"})
STOPS: dict[str, frozenset[str]] = {"onnx-tool": NOT_EXPORTED | {"rnn", "products"}}


@cache
def observed(name: str) -> Seen:
    module, x = make(name)
    return observe(module, [x])


@cache
def predicted(name: str, network: str) -> Prediction:
    """What a counter says of a network by its rules; one that reads files, of its exported file."""
    rules = counters()[name]
    if not rules.reads_files:
        return predict(observed(network), rules)
    module, x = make(network)
    return predict_exported(observed(network), observe_exported(module, [x]), rules)


def is_predicted(name: str, network: str) -> bool:
    """Whether it is known what a counter sees of a network's maps."""
    return counters()[name].stand_ins or network not in CONVERTED


def needed(name: str) -> None:
    """Skip where a counter is not installed in the version that was measured; under CI, fail."""
    rules = counters()[name]
    version = installed_version(name, rules.package)
    why = f"{name} {version or '(none)'} is installed, and its rules are of {rules.version}"
    if version is None or not is_same_version(version, rules.version):
        assert not (os.environ.get("CI") == "true" and name in IN_CI), why
        pytest.skip(why)


@pytest.mark.parametrize("version", [None, "0.0.1"])
def test_under_ci_a_counter_of_another_version_fails(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setitem(globals(), "installed_version", lambda *_: version)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="its rules are of 0"):
        needed("fvcore")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        needed("fvcore")


def test_there_are_forty_networks_of_different_kinds() -> None:
    assert len(NETWORKS) >= 40


def answers(name: str, asked: list[Asked]) -> list[Said]:
    """What a counter says; torch's in a process of its own, and those that leave torch patched."""
    if name in compared() and name != "torch":
        return [_said(name, one, None) for one in asked]
    return ask(name, asked)


@pytest.mark.parametrize("name", ORDER)
def test_what_is_predicted_is_what_a_counter_says(name: str) -> None:
    needed(name)
    stops = STOPS.get(name, frozenset())
    names = [one for one in NETWORKS if one not in stops and is_predicted(name, one)]
    asked = [Asked(f"{HERE}:build({one!r})", (input_of(one),)) for one in (*names, *stops)]
    said = answers(name, asked)
    assert len(names) >= 40
    assert {one: found.error or found.total for one, found in zip(names, said, strict=False)} == {
        one: predicted(name, one).total for one in names
    }
    assert all(found.error for found in said[len(names) :])


@pytest.mark.parametrize("name", [name for name in ORDER if not counters()[name].reads_files])
@pytest.mark.parametrize("network", NETWORKS)
def test_terms_add_up_to_the_difference(name: str, network: str) -> None:
    if is_predicted(name, network):
        adds_up(predicted(name, network))
        return
    with pytest.raises(
        ValueError, match="not predicted where objects stand for tensors, as OctaveTensor does"
    ):
        predicted(name, network)


@pytest.mark.parametrize("network", [name for name in NETWORKS if name not in NOT_EXPORTED])
def test_terms_of_an_exported_file_add_up_to_the_difference(network: str) -> None:
    pytest.importorskip("onnx")
    found = predicted("onnx-tool", network)
    adds_up(found)
    assert found.ours == observed(network).macs
    assert set(found.by_module) <= set(observed(network).modules)


def adds_up(found: Prediction) -> None:
    assert sum(term.amount for term in found.terms) == found.total - found.ours
    assert found.total == int(sum(found.by_module.values()))


def test_what_cannot_be_exported_is_one_line() -> None:
    pytest.importorskip("onnx")
    module, x = make("bilinear_layer")
    with pytest.raises(ValueError, match=r"^torch can't export the network: \w+: [^\n]*bilinear[^\n]*$"):
        observe_exported(module, [x])


def test_batch_normalisation_is_folded_when_a_network_is_exported() -> None:
    """By hand: convolutions with biases, ReLU, pooling (1 per input, 4 per output), a linear layer."""
    pytest.importorskip("onnx")
    convolutions = 2 * (8 * 144 * 28 + 16 * 36 * 73)
    rest = 2 * (8 * 144 + 16 * 36) + 2 * 16 * (36 + 4) + 2 * 10 * 17
    assert predicted("onnx-tool", "plain").total == convolutions + rest
    assert predicted("onnx-tool", "plain").by_module["conv1"] == 2 * 8 * 144 * 28


@pytest.mark.parametrize("network", NETWORKS)
def test_macs_are_those_of_the_trace(network: str) -> None:
    from costmodel.tracing import trace

    module, x = make(network)
    assert observed(network).macs == trace(module, [x]).total().macs


def test_a_wrong_rule_names_operator_and_module() -> None:
    rules = counters()["fvcore"]
    wrong = tuple(replace(rule, price="n(y)") if "batch_norm" in rule.names else rule for rule in rules.rules)
    by_name = {(r.level, n): tuple(w for w in wrong if n in w.names) for r in wrong for n in r.names}
    module, x = make("plain")
    found = locate(replace(rules, rules=wrong, by_name=by_name), module, [x], {})
    assert found is not None
    assert (found.path, found.type) == ("bn1", "BatchNorm2d")
    assert found.operators == ("batch normalisation, 2 per element",)
    assert found.actual == 2 * found.predicted == 2 * 2 * 8 * 12 * 12
    assert locate(rules, module, [x], {}) is None


def test_the_table_of_facts_about_one_octave_layer() -> None:
    totals = {name: predicted(name, "octave").total for name in ORDER if name != "onnx-tool"}
    convolutions = 8 * 16 * 9 * (64 + 16 + 16 + 16)
    assert observed("octave").macs == convolutions
    assert totals["torch"] == 2 * convolutions
    assert totals["fvcore"] == convolutions + 16 * 64  # upsampling
    assert totals["thop"] == totals["torchinfo"] == convolutions


@pytest.mark.parametrize(
    ("name", "linear", "norm"), [("thop", 16, 4), ("thop-2005", 16, 2), ("thop-1909", 2 * 16 - 1, 4)]
)
def test_what_versions_of_thop_ask_for(name: str, linear: int, norm: int) -> None:
    """The packages themselves, which Python 3.12 no longer imports, agree on the networks above."""
    model = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8)).eval()
    total = predict(observe(model, [torch.zeros(2, 16)]), counters()[name]).total
    assert total == 2 * 8 * (linear + norm)


def compared() -> list[str]:
    """Counters that are installed as measured, and leave torch as they found it."""
    found = []
    for name, rules in counters().items():
        version = installed_version(name, rules.package)
        if (
            not name.startswith("calflops")
            and version is not None
            and is_same_version(version, rules.version)
        ):
            found.append(name)
    return found


@given(
    kinds=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=4),
    width=st.sampled_from([2, 4]),
    batch=st.integers(1, 2),
)
@settings(max_examples=20, deadline=None, database=None)
def test_random_networks(kinds: list[str], width: int, batch: int) -> None:
    """Each counter has a network of its own, since thop leaves one with shared modules broken."""
    x = torch.zeros(batch, width, 4, 4)
    expected, actual = {}, {}
    seen = observe(network(kinds, width), [x])
    for name in compared():
        rules = counters()[name]
        if rules.reads_files:
            file = observe_exported(network(kinds, width), [x])
            expected[name] = predict_exported(seen, file, rules).total
        else:
            expected[name] = predict(seen, rules).total
        actual[name] = run(name, network(kinds, width), [x], {})
    assert actual == expected


@settings(max_examples=1, deadline=None, database=None, phases=[Phase.generate])
@given(st.lists(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=4), min_size=12, max_size=12))
def test_random_networks_in_a_process_of_its_own(networks: list[list[str]]) -> None:
    """For a counter that leaves torch patched."""
    needed("calflops")
    blocks = HERE.with_name("random_networks.py")
    said = ask("calflops", [Asked(f"{blocks}:network({kinds}, 4)", ("2,4,4,4",)) for kinds in networks])
    x = torch.zeros(2, 4, 4, 4)
    rules = counters()["calflops"]
    assert [one.error or one.total for one in said] == [
        predict_alone(rules, network(kinds, 4), [x])[1].total for kinds in networks
    ]
