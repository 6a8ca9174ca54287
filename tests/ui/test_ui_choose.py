"""The lists of images and models, as Streamlit calls them back."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from medimg_core.ui import choose, session


def test_a_list_that_went_with_its_run_chooses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit may call back for a list whose value it has dropped already."""
    called: dict[str, Callable[[], None]] = {}

    def selectbox(label: str, options: list[int], on_change: Callable[[], None], **how: Any) -> int:
        called[how["key"]] = on_change
        return options[0]

    state: dict[str, Any] = {}
    monkeypatch.setattr(choose, "st", SimpleNamespace(session_state=state, selectbox=selectbox))
    monkeypatch.setattr(choose.study, "label", lambda case, index: f"Image {index + 1}")
    case = SimpleNamespace(study=SimpleNamespace(images=(1, 2, 3)), together=False, number=1, chosen=0)
    monkeypatch.setattr(session, "current", lambda: case)
    moved: list[int] = []
    monkeypatch.setattr(session, "choose", moved.append)
    assert choose.image(case) is False
    (key,) = called
    called[key]()
    assert moved == []
    state[key] = 2
    called[key]()
    assert moved == [2]
