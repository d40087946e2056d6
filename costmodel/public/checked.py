"""`costmodel.verify` and `costmodel.prove`: formulas against code that runs; these two need PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from costmodel.checks import SUBJECTS
from costmodel.networks.resnet import resnet
from costmodel.public.arguments import check_options, keyword_names
from costmodel.public.rows import Rows
from costmodel.sizes import check_choice


@dataclass(frozen=True)
class Verification:
    """The outcome of a verification: the verdict is "agrees", "partly compared" or "differs"."""

    verdict: str
    differences: list[str]
    numbers_compared: int
    layers: Rows

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "verdict": self.verdict,
            "differences": list(self.differences),
            "numbers_compared": self.numbers_compared,
            "layers": self.layers.to_dict(),
        }


@dataclass(frozen=True)
class Proofs:
    """Theorems, each with its domain, method and verdict."""

    holds: bool
    failures: list[str]
    theorems: Rows

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        theorems = self.theorems.to_dict()
        return {"holds": self.holds, "failures": list(self.failures), "theorems": theorems}


def verify(model: Any, inputs: Sequence[Any] = (), **options: Any) -> Verification:
    """Run a network, count it, and compare every count with the formulas.

    model: the name of a CIFAR ResNet, with the options of `costmodel.network` and `batch`; or any
        `nn.Module`, which is run on copies of `inputs` (a list, or a lone tensor), and left as it was.

    Raises ValueError if a name is unknown, an option is out of range, the module does not run, or its cost
    depends on values; TypeError if a network has no such option.

    >>> verify("resnet8", alpha="1/4", paths=["LL"]).verdict
    'agrees'
    """
    if isinstance(model, str):
        if len(inputs):
            raise ValueError("inputs are for an nn.Module; a network given by name takes size and batch")
        return _verify_named(model, **options)
    if options:
        raise ValueError(f"an nn.Module takes no options, got {', '.join(options)}")
    from costmodel.checks.foreign_report import layer_table
    from costmodel.checks.verify_foreign import verify_module

    report = verify_module(model, inputs)
    table = layer_table(report, short=False)
    return Verification(report.verdict, report.differences, report.numbers_compared, Rows.of(table))


def _verify_named(name: str, **options: Any) -> Verification:
    from costmodel.checks.verify import verify_named
    from costmodel.checks.verify_report import full_table

    check_options(options, keyword_names(resnet, verify_named), "a network to verify")
    report = verify_named(name, **options)
    verdict = "differs" if report.differences else "agrees"
    return Verification(verdict, report.differences, report.numbers_compared, Rows.of(full_table(report)))


def prove(*subjects: str, every: bool = False) -> Proofs:
    """Run code on symbolic sizes, and show that its count minus the formula is zero.

    subjects: some of points, operators, octave, networks and calculator; none means all of them. `every`
    proves all 66 theorems instead of 56, which takes about 13 minutes. The table has one row per theorem and
    one per claim checked at points.

    Raises ValueError if a subject is unknown.
    """
    for subject in subjects:
        check_choice("subject", subject, SUBJECTS)
    from costmodel.checks.claims import claims_of
    from costmodel.checks.proof_report import checked_table, theorem_table
    from costmodel.checks.prove import prove as tried

    theorems = list(tried(claims_of(subjects or SUBJECTS, every=every)))
    failures = [f"{theorem.claim.name}: {text}" for theorem in theorems for text in theorem.failures]
    holds = all(theorem.holds for theorem in theorems)
    rows = [{**row, "kind": "proved"} for row in theorem_table(theorems).rows]
    rows += [
        {"theorem": row["claim"], "verdict": row["verdict"], "kind": "checked"}
        for row in checked_table(theorems).rows
    ]
    return Proofs(holds, failures, Rows(rows))
