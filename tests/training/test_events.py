from __future__ import annotations

from pathlib import Path

from mtlkit.training.events import Event, Finished, Note, result


def test_the_result_of_a_recipe_is_its_last_event() -> None:
    seen: list[str] = []

    def recipe() -> list[Event]:
        seen.append("began")
        return [Note("working"), Finished(Path("runs/mtl"), {"score": 1.0}, 2.0)]

    assert result(recipe()) == Finished(Path("runs/mtl"), {"score": 1.0}, 2.0)
    assert seen == ["began"]
