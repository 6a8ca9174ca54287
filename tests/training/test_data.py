from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn_manifest import draw_film, write_manifest
from medimg_core.errors import BadTable, UnreadableImage
from medimg_core.imaging import prepare
from medimg_core.training.data import (
    Films,
    Record,
    data_hash,
    draw_weights,
    load_films,
    read_image,
    read_manifest,
    split_patients,
)
from medimg_core.training.loop import to_input
from medimg_core.training.recipe import DataRule, read_recipe
from medimg_core.types import InputSpec

RULE = DataRule("drawn", "label", {"normal": 0.0, "pneumonia": 1.0}, mask="mask")
SPEC = InputSpec(32, 48)
ROOT = Path(__file__).resolve().parents[2]


def quiet(what: str, share: float) -> None:
    assert what
    assert 0 <= share <= 1


def table(**columns: list[object]) -> list[dict[str, object]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_a_record_has_the_values_of_its_row(drawn_set: Path) -> None:
    records = read_manifest(drawn_set / "drawn", RULE)
    assert len(records) == 60
    first = records[1]
    assert (first.id, first.split, first.patient, first.target, first.truth) == ("f1", "train", "p1", 1.0, True)
    assert first.shape == (60, 72)
    assert first.positive
    assert not records[0].positive


def test_cached_films_are_what_the_app_would_feed(drawn_set: Path, tmp_path: Path) -> None:
    records = read_manifest(drawn_set / "drawn", RULE)[:5]
    films = load_films(records, SPEC, quiet, tmp_path)
    for record, x in zip(records, to_input(films.grids, SPEC), strict=True):
        expected, _ = prepare(read_image(record.file), SPEC)
        np.testing.assert_allclose(x, expected, atol=0.5 / 255 / 0.1)  # half a grey level, in deviations of the film
    again = load_films(records, SPEC, quiet, tmp_path)
    np.testing.assert_array_equal(again.grids, films.grids)
    assert len(list(tmp_path.glob("films_*.npz"))) == 1
    assert films.masked.all()
    assert films.masks.mean() == pytest.approx(0.41, abs=0.02)  # two ellipses: 2 pi 0.18 0.36


def test_boxes_become_masks_on_the_models_grid(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), draw_film(0, True)[0])
    record = Record("s", "a", tmp_path / "a.png", "train", "p", 1.0, 1.0, True, "yes", boxes=((18, 15, 36, 45),))
    films = load_films([record], InputSpec(60, 36), quiet)
    rows, columns = np.nonzero(films.masks[0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 44, 9, 17)


def test_weak_targets_are_for_training_rows_without_truth(tmp_path: Path) -> None:
    rows = table(
        id=list("abcde"),
        file=["x"] * 5,
        split=["train", "train", "val", "train", "test"],
        patient=list("abcde"),
        opacity=["yes", "", "", "", "no"],
        label=["pneumonia", "pneumonia", "pneumonia", "strange", "no_finding"],
        boxes=['[[1, 2, 3, 4, "opacity"], [1, 1, 2, 2, "nih:nodule"]]', "", "", "", "[]"],
        age=["45", "", "", "", "9.5"],
    )
    write_manifest(tmp_path, rows)
    rule = DataRule(
        "s", "opacity", {"no": 0, "yes": 1}, "label", {"pneumonia": 0.45}, weak_weight=0.3, box_label="opacity"
    )
    records = read_manifest(tmp_path, rule)
    assert [(r.id, r.target, r.weight, r.truth) for r in records] == [
        ("a", 1, 1.0, True),
        ("b", 0.45, 0.3, False),
        ("e", 0, 1.0, True),
    ]
    assert records[0].boxes == ((1, 2, 3, 4),)
    assert records[2].age == 9.5


def test_a_manifest_without_split_is_divided_by_patient(tmp_path: Path) -> None:
    patients = [f"p{i // 3}" for i in range(90)]
    rows = table(id=list(range(90)), file=["x"] * 90, patient=patients, label=["normal", "pneumonia"] * 45)
    write_manifest(tmp_path, rows)
    records = read_manifest(tmp_path, replace(RULE, mask=""), seed=5)
    where = {name: {r.patient for r in records if r.split == name} for name in ("train", "val", "test")}
    assert {name: len(people) for name, people in where.items()} == {"train": 22, "val": 4, "test": 4}
    assert not where["train"] & where["val"] | where["train"] & where["test"] | where["val"] & where["test"]
    assert split_patients(patients, 5) == split_patients(list(reversed(patients)), 5)
    assert split_patients(patients, 5) != split_patients(patients, 6)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (table(id=["a"], file=["x"], patient=["p"]), "lacks the column label"),
        (
            table(id=["a", "b"], file=["x"] * 2, split=["train", "test"], patient=["p"] * 2, label=["normal"] * 2),
            "two splits",
        ),
        (table(id=["a"], file=["x"], split=["train"], patient=["p"], label=["cat"]), "No value of the column label"),
        (table(id=["a"], file=["x"], split=["train"], patient=["p"], label=["normal"], age=["old"]), "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path: Path, rows: list[dict[str, object]], said: str) -> None:
    write_manifest(tmp_path, rows)
    with pytest.raises(BadTable, match=said):
        read_manifest(tmp_path, replace(RULE, mask=""))


def test_no_manifest_and_no_rows(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="no manifest"):
        read_manifest(tmp_path, RULE)
    (tmp_path / "manifest.csv").write_text("id,file,patient,label\n")
    with pytest.raises(BadTable, match="no rows"):
        read_manifest(tmp_path, RULE)


def test_missing_and_broken_files_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage):
        read_image(tmp_path / "none.png")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableImage):
        read_image(tmp_path / "a.png")


def test_rare_combinations_are_drawn_oftener() -> None:
    records = [Record("s", str(i), Path(), "train", str(i), float(i < 10), 1.0, True, "") for i in range(100)]
    p = draw_weights(records, replace(RULE, balance_power=1.0))
    assert p[:10].sum() == pytest.approx(0.5)
    p = draw_weights(records, replace(RULE, balance_power=0.0))
    np.testing.assert_allclose(p, 0.01)
    p = draw_weights(records, replace(RULE, balance_power=0.7))
    assert p[:10].sum() == pytest.approx(0.1**0.3 / (0.1**0.3 + 0.9**0.3))


def test_the_data_hash_knows_bytes_and_labels_and_no_order(drawn_set: Path) -> None:
    records = read_manifest(drawn_set / "drawn", RULE)[:3]
    assert data_hash(records) == data_hash(tuple(reversed(records)))
    assert data_hash(records) != data_hash(records[:2])
    assert data_hash(records) != data_hash([replace(records[0], target=1.0), *records[1:]])


def test_take_keeps_films_and_records_together(drawn_set: Path) -> None:
    records = read_manifest(drawn_set / "drawn", RULE)[:6]
    films: Films = load_films(records, SPEC, quiet).take(lambda r: r.positive)
    assert [r.id for r in films.records] == ["f1", "f3", "f5"]
    assert films.grids.shape == (3, 32, 48, 1)
    assert films.targets.tolist() == [1, 1, 1]


@pytest.mark.shared
def test_the_shipped_recipe_reads_the_real_manifests(shared: Path) -> None:
    recipe = read_recipe(ROOT / "recipes" / "chest_xray_pneumonia.toml")
    children, adults = (read_manifest(shared / "data" / rule.set, rule) for rule in recipe.data)
    # Counts of the sets' README files.
    assert sum(r.split == "test" for r in children) == 566
    assert sum(r.positive for r in children if r.split == "test") == 355
    assert [(sum(r.split == s and r.truth for r in adults)) for s in ("train", "val", "test")] == [227, 55, 199]
    assert sum(r.positive for r in adults if r.split == "test") == 60
    with (shared / "data" / "chest_xray_adults" / "manifest.csv").open() as stream:
        age = {row["id"]: float(row["age"]) for row in csv.DictReader(stream)}
    assert all(r.age == age[r.id] >= 18 for r in adults)
