"""Small networks of every kind that a conversion meets."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as f

conv3 = partial(nn.Conv2d, kernel_size=3, padding=1)


class Net(nn.Module):
    """A stem, a body, a head; the bodies differ."""

    def __init__(self, width: int = 8, classes: int = 5) -> None:
        super().__init__()
        self.stem = conv3(3, width)
        self.a, self.b = conv3(width, width), conv3(width, width, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)

    def body(self, x: Tensor) -> Tensor:
        return self.b(f.relu(self.bn(self.a(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(f.relu(self.stem(x))).mean((2, 3)))


class Residual(Net):
    def body(self, x: Tensor) -> Tensor:
        y = f.relu(self.bn(self.a(x)), inplace=True)
        y = self.b(y)
        y += x
        return f.relu(self.b2(y) + y)

    def __init__(self) -> None:
        super().__init__()
        self.b2 = conv3(8, 8)


class Dense(Net):
    """Concatenations, of plain and of octave maps; the normalisation sees channels out of order."""

    def __init__(self) -> None:
        super().__init__(fc := 8)
        self.n1, self.c1 = nn.BatchNorm2d(16), conv3(16, 4)
        self.n2, self.c2 = nn.BatchNorm2d(20), conv3(20, 8)
        self.c3 = conv3(8, fc)

    def body(self, x: Tensor) -> Tensor:
        kept = [x, self.a(x)]
        kept.append(self.c1(f.relu(self.n1(torch.cat(kept, 1)))))
        return self.c3(self.c2(f.relu(self.n2(torch.cat(kept, 1)))))


class Inception(Net):
    def __init__(self) -> None:
        super().__init__(8)
        self.one, self.five = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, (1, 5), padding=(0, 2))
        self.pooled, self.last = nn.Conv2d(8, 8, 1), conv3(16, 8)

    def body(self, x: Tensor) -> Tensor:
        x = self.a(x)
        branches = self.one(x), self.five(x), self.pooled(f.max_pool2d(x, 3, 1, 1))
        return self.last(f.silu(torch.cat(branches, 1)))


class Squeeze(Net):
    def __init__(self) -> None:
        super().__init__(8)
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def body(self, x: Tensor) -> Tensor:
        x = self.a(x)
        gate = self.excite(f.relu(self.squeeze(f.adaptive_avg_pool2d(x, 1)))).sigmoid()
        return self.b(self.bn(x * gate))


class Depthwise(Net):
    def __init__(self) -> None:
        super().__init__(8)
        self.up, self.dw = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 16, 3, 2, 1, groups=16)
        self.down, self.last = nn.Conv2d(16, 8, 1), nn.Conv2d(8, 8, 1)

    def body(self, x: Tensor) -> Tensor:
        return self.last(self.bn(self.down(f.relu6(self.dw(f.relu6(self.up(x)))))))


class Shuffle(Net):
    """Split, depthwise, concatenation and a channel shuffle by views."""

    def __init__(self) -> None:
        super().__init__(8)
        self.dw, self.c1, self.last = (
            nn.Conv2d(4, 4, 3, 1, 1, groups=4),
            nn.Conv2d(4, 4, 1),
            nn.Conv2d(8, 8, 1),
        )

    def body(self, x: Tensor) -> Tensor:
        left, right = self.a(x).chunk(2, dim=1)
        y = torch.cat((left, self.c1(self.dw(right))), 1)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.last(self.bn(y))


class Grouped(Net):
    """Groups that divide all branches, and groups that lie in them whole."""

    def __init__(self) -> None:
        super().__init__(8)
        self.g2, self.g8 = conv3(8, 8, groups=2), conv3(8, 16, groups=4)
        self.last = conv3(16, 8, stride=2)

    def body(self, x: Tensor) -> Tensor:
        return self.last(self.g8(self.g2(self.a(x))))


class Unlike(Net):
    """What has no rule: attention over positions, a flip, a view; and normalisation of groups, PReLU."""

    def __init__(self) -> None:
        super().__init__(8)
        self.groups, self.prelu, self.c = nn.GroupNorm(4, 8), nn.PReLU(8), conv3(8, 8)

    def body(self, x: Tensor) -> Tensor:
        x = self.prelu(self.groups(self.a(x)))
        x = self.c(f.avg_pool2d(f.dropout(x, 0.5, self.training), 2)).flip(3)
        scores = torch.softmax(x.flatten(2).transpose(1, 2) @ x.flatten(2), -1)
        return self.b((x.flatten(2) @ scores.transpose(1, 2)).view_as(x))


KINDS = (Net, Residual, Dense, Inception, Squeeze, Depthwise, Shuffle, Grouped, Unlike)
