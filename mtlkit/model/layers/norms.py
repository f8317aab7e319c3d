"""The norms of an encoder.

Shapes: T tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtlkit.config.architecture import Architecture


class RMSNorm(nn.RMSNorm):
    """RMSNorm (Zhang & Sennrich 2019), with fewer passes over the states than torch has on a CPU without gradients."""

    def forward(self, states_TD: Tensor) -> Tensor:
        plain = states_TD.dtype not in (torch.float32, torch.bfloat16) or torch.compiler.is_compiling()
        if torch.is_grad_enabled() or states_TD.is_cuda or plain:
            normed: Tensor = super().forward(states_TD)
            return normed
        exact_TD = states_TD.float()
        squares_T1 = torch.linalg.vector_norm(exact_TD, dim=-1, keepdim=True).square_()
        scale_T1 = squares_T1.div_(states_TD.shape[-1]).add_(self.eps or 0.0).rsqrt_()
        result: Tensor = (exact_TD * scale_T1).mul_(self.weight)
        return result.to(states_TD.dtype)


def make_norm(architecture: Architecture, width: int | None = None) -> nn.Module:
    """A norm of an encoder, of states as wide as its blocks or of another width."""
    options, width = architecture.blocks, width or architecture.dim
    if options.norm_type == "rms":
        return RMSNorm(width, architecture.epsilon)
    return nn.LayerNorm(width, architecture.epsilon, bias=options.norm_bias)
