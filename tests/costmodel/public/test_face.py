"""What `import costmodel` offers: names, results as plain data, and that importing it is light."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

import costmodel
from costmodel import CostedNetwork, Rows
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of

PATHS = ["HL", "LH", "LL"]


@pytest.fixture(scope="module")
def net() -> CostedNetwork:
    return costmodel.network("resnet56", alpha="1/4", beta=2, paths=PATHS)


def test_every_name_exists_and_is_listed() -> None:
    for name in costmodel.__all__:
        assert getattr(costmodel, name).__doc__
    assert set(costmodel.__all__) == set(costmodel._HOME) <= set(dir(costmodel))
    with pytest.raises(AttributeError, match=r"^module 'costmodel' has no attribute 'nothing'$"):
        costmodel.nothing  # noqa: B018


def test_importing_it_is_light() -> None:
    code = (
        "import costmodel, sys; dir(costmodel); print({'sympy', 'numpy', 'torch', 'typer'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_a_network_costs_what_its_operators_cost(net: CostedNetwork) -> None:
    operators = resnet(56, alpha="1/4", beta=2, paths=PATHS).operators(3)
    assert net.cost(batch=3) == cost_of(operators)
    assert (net.cost().params, net.cost().macs) == (696150, 79309440)
    assert net.saved_bytes(batch=2) == 2 * net.saved_bytes() - _statistics_bytes(net)


def _statistics_bytes(net: CostedNetwork) -> int:
    """Mean and inverse deviation of each normalised channel do not grow with the batch."""
    return sum(4 * op.cost.bn_weights for op in net.design.operators())


@pytest.mark.parametrize("form", ["channels", "floors", "whole"])
@pytest.mark.parametrize(
    "options",
    [{}, {"alpha": "1/4", "paths": PATHS}, {"alpha": 1}, {"alpha": "1/2", "paths": [["HL"], [], ["LL"]]}],
)
def test_a_formula_gives_the_number(form: str, options: dict[str, object]) -> None:
    net = costmodel.network("resnet20", **options)
    values: dict[str, int | object] = {"n": 3, "alpha": net.design.stages[0].alpha, "beta": 2}
    for stage in range(3):
        high, low = net.design.split(stage)
        values |= {f"c_H{stage + 1}": high, f"c_L{stage + 1}": low}
        values |= {f"m_H{stage + 1}": max(1, high // 2), f"m_L{stage + 1}": max(1, low // 2)}
    cost, formula = net.cost(), net.formula(form)
    for name in ("params", "macs", "activations", "calls"):
        expression = getattr(formula, name)
        assert expression.subs({s: values[s.name] for s in expression.free_symbols}) == getattr(cost, name)


def test_a_formula_in_alpha_needs_stages_that_agree() -> None:
    net = costmodel.network("resnet20", alpha=["1/8", "1/4", "1/2"])
    assert net.formula("channels").params != 0
    with pytest.raises(ValueError, match=r"^the form whole has one alpha and one beta"):
        net.formula("whole")


def test_rows_are_plain_data(net: CostedNetwork) -> None:
    layers = net.per_layer()
    assert layers.total["layer"] == "sum"
    assert layers.total["macs"] == 79309440 == sum(row["macs"] for row in layers)
    assert json.loads(json.dumps(layers.to_dict())) == layers.to_dict()
    assert json.loads(json.dumps(net.to_dict()))["cost"]["params"] == 696150
    layers.to_dict()[0]["macs"] = 0
    assert layers[0]["macs"] != 0  # a copy
    assert repr(layers[:2]).startswith("<2 rows: layer, params")


def test_networks_are_compared(net: CostedNetwork) -> None:
    assert [row["network"] for row in net.compared()] == ["plain", "octave", "pwise"]
    other = costmodel.network("resnet56", alpha="1/4")
    assert net.difference(other).total["macs_difference"] == 85295744 - 79309440
    assert net.difference(net).total["macs_difference"] == 0


def test_a_layer_is_what_its_choices_make_it() -> None:
    ops = [costmodel.layer(**o).op for o in ({}, {"alpha": 0.25}, {"alpha_out": 0.25}, {"paths": ["HH"]})]
    assert ops == ["standard", "octave", "octave", "pwise"]
    assert costmodel.layer("depthwise", c_in=8, c_out=16, kernel=5).cost().weights == 16 * 25
    layer = costmodel.layer(alpha="1/4", paths=PATHS)
    assert layer.per_path()[-2]["macs"] == layer.cost().macs == 1465344
    assert set(layer.formula()) == {"HH", "HL", "LH", "LL"}
    assert costmodel.layer("pointwise").formula()["pointwise"].formula("params") == "c_in*c_out"
    assert costmodel.layer(alpha="1/3").notes() == ["alpha 1/3 of 16 channels is 5.33333: c_L = 5"]


def test_a_layer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^alpha must be in \[0, 1\], got 2$"):
        costmodel.layer(alpha=2)
    with pytest.raises(ValueError, match=r"^groups must divide the channels 16 -> 16, got 3$"):
        costmodel.layer(groups=3)


def test_a_grid_has_a_row_for_each_configuration() -> None:
    rows = costmodel.grid(["resnet20", "resnet56"], alphas=[0, "1/4"], path_sets=[(), PATHS])
    assert len(rows) == 8
    last = {"model": "resnet56", "width": 16, "alpha": "1/4", "beta": "2", "paths": "HL,LH,LL"}
    assert rows[-1] == last | {"params": 696150, "macs": 79309440}


def test_the_pareto_front_fits_its_budgets() -> None:
    front = costmodel.pareto(budgets={"macs": "40M", "params": 450_000}, maximise=["params"])
    assert front
    assert all(row["macs"] <= 40_000_000 and row["params"] <= 450_000 for row in front)
    with pytest.raises(ValueError, match=r"^no configuration fits: the nearest is "):
        costmodel.pareto(budgets={"macs": 1000})


def test_verify_takes_names_and_modules() -> None:
    named = costmodel.verify("resnet8", alpha="1/4", width=4)
    assert (named.verdict, named.differences) == ("agrees", [])
    assert named.layers.total["name"] == "total"
    from torch import nn, zeros

    found = costmodel.verify(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), [zeros(1, 3, 8, 8)])
    assert found.verdict == "agrees"
    assert found.to_dict()["layers"][0]["macs"] == 9 * 3 * 4 * 6 * 6
    with pytest.raises(ValueError, match=r"^an nn.Module takes no options, got alpha$"):
        costmodel.verify(nn.Identity(), alpha=0.5)


def test_prove_says_for_which_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    from costmodel.checks.claims import CLAIMS
    from costmodel.checks.theorems import operator_claims

    # All of them are proved by the command's test.
    names = ("linear layer", "pointwise convolution")
    some = [claim for claim in operator_claims() if claim.name in names]
    monkeypatch.setitem(CLAIMS, "operators", (lambda *, every: some,))
    proofs = costmodel.prove("operators")
    assert len(proofs.theorems) == 2
    assert proofs.holds
    assert proofs.failures == []
    assert {row["verdict"] for row in proofs.theorems} == {"proved"}
    assert json.loads(json.dumps(proofs.to_dict()))["holds"]
    with pytest.raises(ValueError, match=r"^subject must be one of points, operators, .* got all$"):
        costmodel.prove("all")


def test_every_subject_of_the_command_can_be_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    from costmodel.checks import claims
    from costmodel.checks.prove import Claim

    def claims_of(subject: str, kind: str) -> list[object]:
        return [lambda *, every: [Claim(subject, list, kind)]]

    kinds = dict.fromkeys(claims.CLAIMS, "proved") | {"points": "checked"}
    monkeypatch.setattr(claims, "CLAIMS", {subject: claims_of(subject, kinds[subject]) for subject in kinds})
    proofs = costmodel.prove()
    assert [row["theorem"] for row in proofs.theorems] == sorted(kinds, key=lambda name: name == "points")
    assert proofs.failures == [f"{subject}: nothing was run" for subject in kinds]


def test_a_frame_needs_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows([{"a": 1}, {"a": 2}])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"^a DataFrame needs pandas \(pip install pandas\)"):
        rows.to_frame()
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda data: ("frame", data)))
    assert rows.to_frame() == ("frame", [{"a": 1}, {"a": 2}])


def test_the_frame_of_pandas() -> None:
    import pandas

    frame = costmodel.grid("resnet20", alphas=[0, "1/4"]).to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["macs"].tolist() == [40813184, 28230272]
