"""One way to name a network, and its inputs, for every command and for Python.

>>> from costmodel.models import load
>>> network = load("torch.nn:Conv2d(3, 8, kernel_size=3)")
>>> network.device, network.module.weight.shape
('meta', torch.Size([8, 3, 3, 3]))
"""

from costmodel.models.loading import Network, load

__all__ = ["Network", "load"]
