"""How a head's outputs become probabilities and decisions that hold on unseen rows. Part of `TaskSpec`; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Method = Literal["temperature", "thresholds"]
FittedOn = Literal["validation", "cross-validation"]


@dataclass(frozen=True)
class Calibration:
    """Fitted on `rows` held-out rows. Method "temperature": logits are divided by `temperature` before the softmax.
    "thresholds": each label is predicted from its own probability on, (labels,).

    Raises ValueError for a temperature that is not positive and thresholds outside 0 to 1.
    """

    method: Method
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()
    fitted_on: FittedOn = "validation"
    rows: int = 0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"calibration temperature {self.temperature} is not positive")
        if not all(0 <= threshold <= 1 for threshold in self.thresholds):
            raise ValueError("a calibration threshold is not between 0 and 1")
        if bool(self.thresholds) != (self.method == "thresholds"):
            raise ValueError(f"calibration by {self.method} with {len(self.thresholds)} thresholds")

    def to_json(self) -> dict[str, Any]:
        values = {"temperature": self.temperature} if self.method == "temperature" else {"thresholds": list(self.thresholds)}
        return {"method": self.method, **values, "fitted_on": self.fitted_on, "rows": self.rows}
