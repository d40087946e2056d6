"""The source of a small network of a user's own, which is searched and converted stage by stage."""

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1)
        self.one, self.two = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.three = nn.Conv2d(2 * width, 2 * width, 3, 1, 1)

    def forward(self, x):
        return self.three(self.two(self.one(self.stem(x)).relu()).relu()).mean((2, 3))
"""
