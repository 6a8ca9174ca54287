"""The manifests of the real sets, read as `evaluate` reads them. The model is a toy: only the counting is tested."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from medimg_core.cli import main
from medimg_core.workflows.manifest import read_manifest
from model_folder import MODELS


@pytest.mark.shared
def test_every_classification_manifest_is_read(shared: Path) -> None:
    for path in sorted((shared / "data").glob("*/manifest.csv")):
        rows = read_manifest(path, label="id")
        with path.open(newline="", encoding="utf-8") as stream:
            lines = sum(1 for _ in csv.reader(stream)) - 1
        assert len(rows) == lines, path.parent.name
        assert all(row.file.is_file() for row in rows[:20]), path.parent.name


@pytest.mark.shared
@pytest.mark.slow
def test_adults_are_counted_as_their_readme_says(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(MODELS))
    manifest = str(shared / "data" / "chest_xray_adults" / "manifest.csv")
    options = ["--manifest", manifest, "--split", "test", "--label", "opacity", "--map", "yes=pneumonia,no=normal"]
    status = main(["evaluate", "--model", "tiny_model", *options, "--out", str(tmp_path), "--json"])
    content = json.loads(capsys.readouterr().out)
    assert (content["n"], content["labelled"], content["positives"]) == (317, 199, 60)
    assert content["unknown_labels"] == {"": 118}
    assert content["errors"] == 0
    assert status == (1 if content["refused"] else 0)
    lines = list(csv.DictReader((tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    views = Counter(row.view for row in read_manifest(Path(manifest), "test"))
    used = Counter(line["population"] for line in lines if line["status"] == "ok")
    assert used["adults_pa"] <= views["PA"]
    assert used["adults_ap"] <= views["AP"]
    assert sum(used.values()) + content["refused"] == 317
