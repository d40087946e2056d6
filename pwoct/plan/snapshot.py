"""The common base of the plans for inference: a module without parameters."""

from torch import Tensor, nn

from pwoct.plan.known import PARTS


class Snapshot(nn.Module):
    """A network for inference with fixed weights: no parameters, no gradients, no parts."""

    PLAN: str

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        """Report that a part of the network is missing here; torch.func asks for them."""
        if name in PARTS:
            raise AttributeError(
                f'the plan "{self.PLAN}" is a snapshot without parameters, and has no {name}: '
                f'use the plan "lean"'
            )
        return super().__getattr__(name)
