"""Maps of outlines on the page Explainability, with a small model that only outlines and one that answers besides."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_ui_pages import dicom_film, start, text, upload, viewers

from drawn_films import png
from medimg_core.catalog import write_hashes
from medimg_core.ui import session, tokens
from model_folder import MODELS, OUTLINES, TINY_OUTLINE, copy_model, synthetic_film

BOTH = ["seg_gradcam", "seg_hirescam"]


def film(seed: int = 3, strength: float = 0.4) -> bytes:
    return png(np.asarray(synthetic_film(seed, strength).pixels, np.uint8))


def explained(app: AppTest, *files: bytes) -> dict[str, Any]:
    upload(app, *files)
    app.switch_page("pages/explainability.py").run()
    (shown,) = viewers(app)
    return dict(shown)


def pick(app: AppTest, target: str) -> dict[str, Any]:
    """What the list of targets reports when the reader chooses another."""
    key = viewers(app)[0]["id"]
    app.session_state[key] = {"pick": target}
    app.run()
    return dict(viewers(app)[0])


def test_a_model_that_only_outlines_has_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    app = start(monkeypatch, OUTLINES)
    shown = explained(app, film())
    assert shown["picker"]["options"] == [
        ["outline tiny_outline lungs", "lungs, outline"],
        ["outline tiny_outline lesion", "lesion, outline"],
    ]
    assert shown["picker"]["value"] == "outline tiny_outline lungs"
    assert (shown["slots"], sorted(shown["maps"]), shown["columns"]) == (BOTH, BOTH, 2)
    assert shown["methods"]["seg_gradcam"]["title"] == "Seg-Grad-CAM"
    assert {(line["structure"], line["fixed"], line["words"]) for line in shown["regions"]} == {("lungs", True, "")}
    assert (shown["legend"], shown["bar"]["high"]) == ([], "raw value")
    assert shown["methods"]["seg_gradcam"]["verdict"] == "Not measured on this model; raw values, no reference scale"
    page = text(app)
    assert "maps of 8 × 8, raised to 220 × 180" in page
    assert "on the validation set · tiny_outline 0.1.0" in page


def test_the_verdict_and_the_scale_are_those_measured_for_the_structure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = copy_model(TINY_OUTLINE, tmp_path / "tiny_outline")
    described = json.loads((folder / "evaluation.json").read_text())
    part = {"value": 0.1, "low": 0.05, "high": 0.15}
    names = ("moved", "random", "beside", "gain", "gain_beside")
    described["places"]["saliency"] = {"seg_gradcam": {"lungs": {n: part for n in names} | {"n": 9, "scale": 4.0}}}
    (folder / "evaluation.json").write_text(json.dumps(described))
    write_hashes(folder)
    app = start(monkeypatch, tmp_path)
    shown = explained(app, film())
    method = shown["methods"]["seg_gradcam"]
    assert (method["mark"], method["verdict"].startswith("Marks what the outline rests on")) == ("full", True)
    assert (shown["maps"]["seg_gradcam"]["scale"], shown["maps"]["seg_gradcam"]["raw"]) == (4.0, False)
    assert shown["maps"]["seg_hirescam"]["raw"] is True


def test_an_export_of_an_outline_is_a_picture_with_its_provenance(monkeypatch: pytest.MonkeyPatch) -> None:
    app = start(monkeypatch, OUTLINES)
    method = explained(app, film())["methods"]["seg_hirescam"]
    served = tokens.find(method["link"].rsplit("/", 1)[1])
    assert served
    content = served.make({"opacity": "0.5", "threshold": "0.1"})
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert min(picture.shape[:2]) > 150
    assert all(word in content for word in (b"tiny_outline", b"seg_hirescam", b"bottom"))


def test_a_structure_that_was_not_found_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    app = start(monkeypatch, OUTLINES)
    explained(app, film(2, 0.0))
    shown = pick(app, "outline tiny_outline lesion")
    method = shown["methods"]["seg_gradcam"]
    assert method["verdict"].startswith("Not outlined here: the map asks for it in the whole picture")
    assert (method["mark"], shown["regions"]) == ("", [])


def test_classes_and_structures_stand_in_one_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(MODELS, tmp_path, dirs_exist_ok=True)
    copy_model(TINY_OUTLINE, tmp_path / "tiny_outline")
    app = start(monkeypatch, tmp_path)
    shown = explained(app, dicom_film(3, 0.4))
    values = [value for value, _ in shown["picker"]["options"]]
    assert values == ["pneumonia", "normal", "outline tiny_outline lungs", "outline tiny_outline lesion"]
    assert shown["picker"]["value"] == "pneumonia"
    other = pick(app, "outline tiny_outline lesion")
    assert (other["picker"]["value"], other["slots"]) == ("outline tiny_outline lesion", BOTH)
    assert other["id"] != shown["id"]
    back = pick(app, "normal")
    assert (back["picker"]["value"], len(back["slots"])) == ("normal", 6)


def test_a_place_must_be_told_and_the_map_stays_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card = (copy_model(TINY_OUTLINE, tmp_path / "tiny_outline") / "card.toml").read_text(encoding="utf-8")
    (tmp_path / "tiny_outline/card.toml").write_text(card.replace("[places]", "[places]\nwindow_mm = 40.0"))
    write_hashes(tmp_path / "tiny_outline")
    app = start(monkeypatch, tmp_path)
    upload(app, film())
    app.switch_page("pages/explainability.py").run()
    assert "Draw a box round what should be outlined first, on the page Diagnosis." in text(app)
    app.session_state[session._CASE] = replace(app.session_state[session._CASE], boxes={0: (60.0, 40.0, 100.0, 80.0)})
    shown = viewers(app.run())[0]
    assert sorted(shown["maps"]) == BOTH
    served = tokens.find(shown["maps"]["seg_gradcam"]["url"].rsplit("/", 1)[1])
    assert served
    content = served.make({})
    values = np.frombuffer(content[8:], "<f4").reshape(np.frombuffer(content[:8], "<i4"))
    assert values.shape == (180, 220)  # on the film's own grid: the square covers a part of it
    assert values[10:110, 30:130].any()
    assert not values[115:].any()
