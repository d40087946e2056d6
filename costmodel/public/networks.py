"""`costmodel.network`: a CIFAR ResNet as numbers, as a closed form, and layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costmodel.convention import Cost
from costmodel.networks.closed_form import closed_form
from costmodel.networks.resnet import ResNetDesign, named, resnet, rounding_notes
from costmodel.networks.stages import STAGES
from costmodel.networks.wording import describe
from costmodel.networks.wording import options_of as typed
from costmodel.operators.recorder import cost_of, saved_elements
from costmodel.public.arguments import check_options, keyword_names
from costmodel.public.rows import Rows
from costmodel.sizes import check_sizes, plain
from costmodel.tables.counting import Totals
from costmodel.tables.diff import diff_table
from costmodel.tables.network import network_table, per_layer_table


@dataclass(frozen=True)
class CostedNetwork:
    """A CIFAR ResNet: plain, octave or pointwise octave. Made by `costmodel.network`."""

    design: ResNetDesign

    def cost(self, batch: int = 1) -> Cost:
        """Return the cost of the network, in exact integers."""
        batch = plain(batch)
        operators = self.design.operators(batch) if batch != 1 else self.design.folded()
        return cost_of(operators)

    def saved_bytes(self, batch: int = 1, element_bytes: int = 4) -> int:
        """Return the bytes that a training step saves for the backward pass."""
        element_bytes = plain(element_bytes)
        check_sizes(element_bytes=element_bytes)
        return int(saved_elements(self.design.operators(plain(batch)))) * element_bytes

    def formula(self, form: str = "channels") -> Cost:
        """Return the cost as formulas for every depth 6n + 2 with n >= 2.

        The form "channels" is in n, the channels c_H1, c_L1, ... and the widths m; "floors" in n, alpha and
        beta, with the rounding rule; "whole" the same without floors. Raises ValueError if a form is
        unknown, or if stages differ in alpha or beta and the form is "floors" or "whole".

        >>> str(network("resnet20").formula("whole").params)
        '97216*n - 19366'
        """
        net, backbone = self.design, self.design.backbone
        if form != "channels":
            _check_alike(net, form)
        return closed_form(
            [stage.paths for stage in net.stages],
            form=form,
            branches=[_branches(net, stage) for stage in STAGES],
            width=backbone.width,
            width_rule=net.width_rule,
            stride_rule=backbone.stride_rule,
            between=net.between,
            shortcut=backbone.shortcut,
            classes=backbone.classes,
            in_channels=backbone.in_channels,
            size=backbone.size,
        )

    def per_layer(self) -> Rows:
        """Return one row per layer, in order of execution, and the sum."""
        return Rows.of(per_layer_table(self.design, Totals()))

    def compared(self) -> Rows:
        """Return the plain network, the octave one and this one, each compared with the first two."""
        return Rows.of(network_table(self.design, Totals()))

    def difference(self, other: CostedNetwork) -> Rows:
        """Return one row per layer in which another network differs from this one, and the sum."""
        return Rows.of(diff_table(self.design, other.design))

    def notes(self) -> list[str]:
        """Return one note for each size that the rounding rule changed."""
        return rounding_notes(self.design)

    def to_dict(self) -> dict[str, Any]:
        """Return the network's choices and its cost as plain values."""
        said = {"model": f"resnet{self.design.backbone.depth}", **describe(self.design.stages)}
        return said | {"options": typed(self.design), "cost": self.cost().to_dict()}


def network(model: str = "resnet56", **options: Any) -> CostedNetwork:
    """Return a network to be costed, by its name.

    Options: alpha, beta and paths, one value or three, one per stage; width_rule, stride_rule, between,
    shortcut, width, classes, in_channels, size. Raises ValueError if the name is unknown or a value is
    out of range, and TypeError if an option is unknown.

    >>> network("resnet56", alpha="1/4", beta=2, paths=["HL", "LH", "LL"]).cost().macs
    79309440
    """
    check_options(options, keyword_names(resnet), "a network")
    return CostedNetwork(named(model, **options))


def _check_alike(net: ResNetDesign, form: str) -> None:
    alphas = {stage.alpha for stage in net.stages}
    betas = {stage.beta for stage in net.stages if stage.paths}
    if len(alphas) > 1 or len(betas) > 1:
        raise ValueError(
            f"the form {form} has one alpha and one beta, but the stages differ: use the form channels"
        )


def _branches(net: ResNetDesign, stage: int) -> str:
    high, low = net.split(stage)
    return "HL" if high and low else "H" if high else "L"
