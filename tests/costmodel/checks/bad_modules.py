"""Modules of which a claim is false or cannot be proved, and a case that is made of one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.proof.quotients import size
from costmodel.checks.prove import Case
from costmodel.checks.theorems import n
from costmodel.operators.pointwise import linear
from costmodel.operators.recorder import Operator

a, b = size("a"), size("b")


def case_of(make: Any, formulas: Any = None, instances: Any = ()) -> Case:
    def by_default(v: Any) -> list[Operator]:
        return [Operator("fc", "linear", linear(v(a), v(b), bias=False, batch=v(n)))]

    return Case(
        "a model",
        SizeDomain({a: 2, b: 2, n: 2}),
        make,
        formulas or by_default,
        [(n, a)],
        {a: 11, b: 17, n: 5},
        instances,
        work=False,
    )


class Net(nn.Module):
    def __init__(self, v: Any) -> None:
        super().__init__()
        self.fc = nn.Linear(v(a), v(b), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)  # type: ignore[no-any-return]


class Twice(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) + self.fc(x)  # type: ignore[no-any-return]


class Aside(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) @ self.fc.weight  # type: ignore[no-any-return]


class TwiceAtTimes(Net):
    """Runs a layer twice for every third batch."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        return self.fc(x) if x.shape[0] % 3 == 0 else y  # type: ignore[no-any-return]


class Branching(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x[:1] if x.shape[0] > 64 else x)  # type: ignore[no-any-return]


class LooksAtData(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) if x.sum() > 0 else self.fc(x) + self.fc(x)  # type: ignore[no-any-return]


class Raises(Net):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no")


class Changes(Net):
    def forward(self, x: Tensor) -> Tensor:
        self.calls = getattr(self, "calls", 0) + 1
        return self.fc(x)  # type: ignore[no-any-return]


class Unregistered(Net):
    def __init__(self, v: Any) -> None:
        super().__init__(v)
        self.scale = torch.ones(v(b))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * self.scale  # type: ignore[no-any-return]


class KeepsAside(Net):
    def __init__(self, v: Any) -> None:
        super().__init__(v)
        self.extra = [{"scale": torch.ones(v(b))}]


class HidesALayer(Net):
    def __init__(self, v: Any) -> None:
        super().__init__(v)
        self.layers = (nn.Linear(v(a), v(b)),)


class ReadsDigits(Net):
    """Runs a layer twice where a batch, as text, ends with a 7."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        return self.fc(x) if f"{x.shape[0]}".endswith("7") else y  # type: ignore[no-any-return]


class NamedByDigits(Net):
    def __init__(self, v: Any) -> None:
        super().__init__(v)
        if str(v(a))[-1] == "4":
            self.more = nn.Parameter(torch.ones(1))


class LoopsOverSizes(Net):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(x.shape[0]):
            y = self.fc(x)
        return y  # type: ignore[no-any-return]


class DataAsIndex(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x[: int(x.sum())])  # type: ignore[no-any-return]


class AnotherShape(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x[x > 0].reshape(1, -1))  # type: ignore[no-any-return]


class Grows(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        self.late = nn.Parameter(torch.ones(1))
        return y  # type: ignore[no-any-return]


class Swaps(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        self.fc = nn.Linear(2, 2)
        return y  # type: ignore[no-any-return]


class Exits(Net):
    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError


class ExitsAtNumbers(Net):
    def forward(self, x: Tensor) -> Tensor:
        if type(x.shape[0]) is int:
            raise AssertionError
        return super().forward(x)


class ReturnsNothing(Net):
    def forward(self, x: Tensor) -> Tensor:
        return None  # type: ignore[return-value]


class MoreForSevens(Net):
    """Has a parameter more where 7 divides the channels."""

    def __init__(self, v: Any) -> None:
        super().__init__(v)
        if v(a) % 7 == 0:
            self.more = nn.Parameter(torch.ones(1))


class Fixed(Net):
    def __init__(self, v: Any) -> None:
        super().__init__(v)
        self.fc = nn.Linear(v(a), {17: 17}[v(b)], bias=False)


class Fails(Net):
    def __init__(self, v: Any) -> None:
        raise RuntimeError("no")
