"""A model that looks at a slice and its neighbours: pages, the study's list, maps and `predict` say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mr_files import three_series
from test_ui_pages import start, text, upload, viewers

from medimg_core.catalog import models_folder, open_model
from medimg_core.cli import main
from medimg_core.types import Image
from medimg_core.ui import demo, explained, findings, service, study
from medimg_core.ui.reading import read
from medimg_core.ui.session import Case, Workspace
from medimg_core.workflows import diagnose as answering
from medimg_core.workflows.beside import with_neighbours
from medimg_core.workflows.diagnose_files import open_paths
from medimg_core.workflows.explain import MapCache, explain
from medimg_core.workflows.explain_places import explain_places
from medimg_core.workflows.sequence_files import with_joined
from model_folder import copy_model

NAME = "brain_tumour_outline"
DEMO = next(one for one in demo.demos() if one.key.startswith("22_"))


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    own = Workspace()
    monkeypatch.setattr(service.session, "workspace", lambda: own)
    yield own
    own.close()


@pytest.fixture(autouse=True)
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the shipped models the one that looks at neighbours, and the router before it."""
    shipped = models_folder()
    for name in (NAME, "router"):
        copy_model(shipped / name, tmp_path / "models" / name)
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))


def opened(*files: bytes) -> Case:
    reading = read(files or [path.read_bytes() for path in DEMO.paths])
    return Case(reading.study, reading.headers)


def predicted(capsys: pytest.CaptureFixture[str], *paths: Path) -> list[dict[str, Any]]:
    assert main(["predict", "--model", NAME, "--json", *map(str, paths)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_slice_of_a_series_is_answered_as_by_predict(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    case = opened()
    images = case.study.images
    heights = [[image.position[2] for image in service.neighbours_of(case, i) if image.position] for i in range(3)]
    assert heights == [[-5.0, 0.0], [-5.0, 5.0], [0.0, 5.0]]
    alone = [service.answer(image, None) for image in images]
    said = predicted(capsys, *DEMO.paths)
    assert len(said) == 3
    for index, (image, one) in enumerate(zip(images, said, strict=True)):
        at = replace(case, chosen=index)
        found = service.answer(image, None, beside=service.neighbours_of(at))
        assert found.found.prediction.scores == one["scores"] != alone[index].found.prediction.scores
        (outline,) = service.finds(image, None, at, [])
        areas = {m.name: m.value for m in outline.measurements}
        assert areas == {m["name"]: m["value"] for m in one["measurements"]}
        line = study.line(image, None, None, space, service.neighbours_of(case, index, space))
        assert line.said[0] == study.answers.summary(found)
    # The drawn mass of the middle slice has 1,560 mm2.
    middle = {m["name"]: m["value"] for m in said[1]["measurements"]}
    single = service.find_one(images[1], open_model(NAME), None, space)
    alone_area = next(m.value for m in single.measurements if m.name == "area")
    assert middle["area"] == pytest.approx(1560, rel=0.05)
    assert alone_area == pytest.approx(1560, rel=0.05)
    assert alone_area != pytest.approx(middle["area"], abs=1)
    assert findings.short_rows(single) != findings.short_rows(outline)


def test_a_single_picture_is_answered_as_before(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    case = opened(DEMO.paths[1].read_bytes())
    (image,) = case.study.images
    assert service.neighbours_of(case) == ()
    found = service.answer(image, None, beside=service.neighbours_of(case))
    (said,) = predicted(capsys, DEMO.paths[1])
    assert found.found.prediction.scores == said["scores"]
    assert found.look == found.card.ref.hash


def test_maps_are_of_the_same_look(space: Workspace) -> None:
    case = replace(opened(), chosen=1)
    image, beside = case.study.images[1], service.neighbours_of(case)
    found = service.answer(image, None, beside=beside)
    assert found.layer is not None
    card, target = found.card, found.layer.target
    (own,) = explain(image, card, "gradcam", target, beside=beside, cache=MapCache())
    (single,) = explain(image, card, "gradcam", target, cache=MapCache())
    assert found.layer.maximum == pytest.approx(own.maximum, rel=1e-6)
    assert found.layer.maximum != pytest.approx(single.maximum, rel=1e-3)
    finds = service.finds(image, None, case, [])
    (one,) = explained.outlined(case, finds).values()
    layer = explained.gather(one, ["seg_gradcam"]).layers["seg_gradcam"]
    said = one.found.prediction
    (own,) = explain_places(image, card, ["seg_gradcam"], "tumour", said, beside=beside, cache=MapCache())
    (single,) = explain_places(image, card, ["seg_gradcam"], "tumour", said, cache=MapCache())
    assert layer.maximum == pytest.approx(own.maximum, rel=1e-6)
    assert layer.maximum != pytest.approx(single.maximum, rel=1e-3)
    assert not np.allclose(own.values, single.values)


def test_neighbours_in_a_series_that_was_joined_are_those_of_the_command_line(space: Workspace, tmp_path: Path) -> None:
    files = three_series((0.0, 5.0, 10.0))
    (tmp_path / "study").mkdir()
    for number, data in enumerate(files):
        (tmp_path / "study" / f"{number}.dcm").write_bytes(data)
    case, cards = opened(*files), [open_model(NAME)]
    stream = with_joined(open_paths([str(tmp_path / "study")]), cards)
    told = [pair for pair in with_neighbours(stream, cards) if pair[0].parts]
    assert [one.index for one, _ in told] == [0, 1, 2]
    images = case.study.images
    for index, (_, beside) in enumerate(told, start=9):
        own = service.neighbours_of(case, index)
        assert [one.position for one in own] == [one.position for one in beside]
        assert own[0] is images[max(index - 1, 9)]
        assert own[1] is images[min(index + 1, 11)]


def test_the_pages_hand_them_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[float]] = []
    real = answering.predict

    def spy(image: Image, *rest: Any, beside: tuple[Image, ...] = (), **more: Any) -> Any:
        asked.append([one.position[2] for one in (image, *beside) if one.position])
        return real(image, *rest, beside=beside, **more)

    monkeypatch.setattr(answering, "predict", spy)
    app = start(monkeypatch, tmp_path / "models")
    upload(app, *(path.read_bytes() for path in DEMO.paths))
    page = text(app.switch_page("pages/diagnosis.py").run())
    assert "Signs of a glioma" in page
    app.session_state["slots"] = ["gradcam"]
    (viewer,) = viewers(app.switch_page("pages/explainability.py").run())
    assert list(viewer["maps"]) == ["gradcam"]
    assert {tuple(one) for one in asked} <= {(-5, -5, 0), (0, -5, 5), (5, 0, 5)}
    assert (-5, -5, 0) in {tuple(one) for one in asked}
