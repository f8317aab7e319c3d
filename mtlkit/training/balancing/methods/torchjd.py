"""Methods of TorchJD that need only the inner products of the tasks' gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mtlkit.config.registries.balancing import BALANCING
from mtlkit.training.balancing.methods.base import BalanceContext, BalancingMethod

if TYPE_CHECKING:
    from mtlkit.training.balancing.loss_weighting import LossWeighting

GPL = "torchjd-gpl"  # the extra with solvers under the GPL


@dataclass(frozen=True, kw_only=True)
class TorchJDMethod(BalancingMethod):
    """A method implemented by the class `weighting` in `torchjd.aggregation`; `settings` are arguments to its constructor."""

    weighting: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def add(
    name: str, weighting: str, help: str, *solvers: str, settings: Mapping[str, Any] | None = None, extra: str = "torchjd"
) -> None:
    """Registers `torchjd:NAME` with NAME as an alias; `solvers` are the modules it needs besides torchjd."""
    full = f"torchjd:{name}"

    def make(context: BalanceContext) -> LossWeighting:
        from mtlkit.training.balancing.gradient_methods import ParameterGradients, VectorGradients

        kind = ParameterGradients if context.on == "parameters" else VectorGradients
        return kind(full, context.model, context.random)

    BALANCING.add(
        TorchJDMethod(
            name=full,
            help=help,
            group="By gradients (pip install 'mtlkit[torchjd]')",
            make=make,
            needs_joint=True,
            on_gradients=True,
            modules=("torchjd", *solvers),
            extra=extra,
            aliases=(name,),
            weighting=weighting,
            settings=settings or {},
        )
    )


add("pcgrad", "PCGradWeighting", "PCGrad: projects conflicting gradients (Yu et al. 2020).")
add("cagrad", "CAGradWeighting", "CAGrad, with its paper's c (Liu et al. 2021).", "cvxpy", "clarabel", settings={"c": 0.5})
add("upgrad", "UPGradWeighting", "UPGrad (Quinton & Rey 2024).", "qpsolvers", "quadprog", extra=GPL)
add("dualproj", "DualProjWeighting", "DualProj (Lopez-Paz & Ranzato 2017).", "qpsolvers", "quadprog", extra=GPL)
add("mgda", "MGDAWeighting", "MGDA: the shortest vector in the hull of the gradients (Désidéri 2012).")
add("imtlg", "IMTLGWeighting", "IMTL-G: equal projections on all gradients (Liu et al. 2021).")
add("nashmtl", "NashMTL", "Nash-MTL: a bargaining solution (Navon et al. 2022).", "cvxpy", "ecos", extra=GPL)
add("alignedmtl", "AlignedMTLWeighting", "Aligned-MTL (Senushkin et al. 2023).")
add("fairgrad", "FairGradWeighting", "FairGrad, proportionally fair (Ban & Ji 2024).", settings={"alpha": 1.0})
