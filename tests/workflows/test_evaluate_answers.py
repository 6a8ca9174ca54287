"""Many rows past one model: order, failures in between, bounded memory, the table on disk."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medimg_core.catalog import read_card
from medimg_core.errors import BadTable, MedImgError, UnreadableImage
from medimg_core.inference import Answer, predict
from medimg_core.types import Image
from medimg_core.workflows.answers import Entry, ahead, answers, read_rows
from medimg_core.workflows.evaluate import evaluate
from medimg_core.workflows.manifest import Row, label_classes
from medimg_core.workflows.predictions import Line, Table, read_predictions, written
from model_folder import TINY_MODEL, film_pixels, synthetic_film

CARD = read_card(TINY_MODEL)


def row(name: str, **values: object) -> Row:
    return Row(id=name, file=Path(f"{name}.png"), label="pneumonia", patient=name, **values)  # type: ignore[arg-type]


def infinite(seed: int) -> Image:
    """A film that the gate lets pass and the network answers with NaN."""
    film = synthetic_film(seed)
    return Image(film.pixels.copy(), "MONOCHROME2", f"bad{seed}")


def test_failures_keep_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = UnreadableImage("Damaged.", "Send it again.")
    entries = [
        Entry(row("a"), error=damaged),
        Entry(row("b"), synthetic_film(1)),
        Entry(row("c"), infinite(2)),
        Entry(row("d"), error=damaged),
        *(Entry(row(f"e{i}"), synthetic_film(3 + i)) for i in range(7)),
        Entry(row("f"), infinite(20)),
        Entry(row("g"), error=damaged),
    ]

    def asked(image: Image, *rest: object, **more: object) -> Answer:
        if image.digest.startswith("bad"):
            raise MedImgError("The answer is no number.", "Look at the image.")
        return predict(image, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("medimg_core.inference.answer.predict", asked)
    found = list(answers(entries, CARD))
    assert [entry.row.id for entry, _ in found] == [entry.row.id for entry in entries]
    failed = {entry.row.id for entry, answer in found if isinstance(answer, MedImgError)}
    assert failed == {"a", "c", "d", "f", "g"}
    for entry, answer in found:
        if isinstance(answer, Answer):
            assert entry.image is not None
            assert answer.prediction.scores == predict(entry.image, CARD).prediction.scores


def test_memory_holds_a_few_images_only() -> None:
    pixels: list[weakref.ref[np.ndarray]] = []
    most = 0

    def entries() -> Iterator[Entry]:
        nonlocal most
        for i in range(60):
            film = synthetic_film(i)
            pixels.append(weakref.ref(film.pixels))
            most = max(most, sum(p() is not None for p in pixels))
            yield Entry(row(str(i)), film)
            del film

    assert sum(1 for _ in answers(entries(), CARD)) == 60
    assert most <= 10


def test_ahead_keeps_the_order_and_reads_only_a_few_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    results = ahead(lambda i: i * i, items(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(taken) <= 7
    assert list(results) == [i * i for i in range(3, 100)]


def test_rows_bring_age_and_view_where_the_file_says_nothing(tmp_path: Path) -> None:
    Pillow.fromarray(film_pixels(1, 0.4)[0].astype(np.uint8)).save(tmp_path / "a.png")
    frames = [Pillow.fromarray(film_pixels(s, 0.4)[0].astype(np.uint8)) for s in (1, 2)]
    frames[0].save(tmp_path / "b.tif", save_all=True, append_images=frames[1:])
    rows = [
        Row("a", tmp_path / "a.png", age_years=40.0, view="AP"),
        Row("b", tmp_path / "b.tif"),
        Row("c", tmp_path / "c.png"),
    ]
    first, several, absent = read_rows(rows)
    assert first.image is not None
    assert (first.image.age_years, first.image.view) == (40.0, "AP")
    assert "2 images" in str(several.error)
    assert "no such file" in str(absent.error)


def test_the_population_decides_the_operating_point() -> None:
    entries = [
        Entry(Row("a", Path("a"), "pneumonia"), synthetic_film(1, 0.4, age_years=3.0)),
        Entry(Row("b", Path("b"), "normal"), synthetic_film(2, 0.0, age_years=40.0, view="AP")),
        Entry(Row("c", Path("c"), "normal"), synthetic_film(3, 0.0)),
    ]
    rows = [entry.row for entry in entries]
    seen: list[tuple[int, int]] = []
    classes = label_classes(CARD.class_ids, {})
    run = evaluate(CARD, rows, classes, entries=entries, progress=lambda done, total: seen.append((done, total)))
    assert [line.population for line in run.table.lines] == ["children", "adults_ap", "children"]
    assert set(run.points) == {"children", "adults_ap"}
    assert seen == [(1, 3), (2, 3), (3, 3)]
    fixed = evaluate(CARD, rows, classes, population="adults_pa", entries=entries)
    assert {line.population for line in fixed.table.lines} == {"adults_pa"}


def test_predictions_survive_the_disk(tmp_path: Path) -> None:
    lines = (
        Line(
            "a, b", "ok", "doubt", "pneumonia", {"normal": 1e-9, "pneumonia": 1 - 1e-9}, "pneumonia", "p1", "children"
        ),
        Line('"c"', "refused", "Blank,\nor nearly so.", "normal", patient="p2"),
        Line("d", "error", "Damaged.", "perhaps", patient="p2"),
    )
    assert tuple(written(tmp_path / "p.csv", ("normal", "pneumonia"), lines)) == lines
    assert read_predictions(tmp_path / "p.csv") == Table(("normal", "pneumonia"), lines)
    given, answered = Table(("normal", "pneumonia"), lines).answers("pneumonia")
    assert given.truth.tolist() == [1, 0]
    assert answered.tolist() == [True, False]
    assert given.patients.tolist() == ["p1", "p2"]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("id,status\na,ok\n", "lack label, decision"),
        ("id,status,label,decision,p_a\na,ok,a,a,1\n", "p_<class>"),
        ("id,status,label,decision,p_a,p_b\na,ok,a,a,x,1\n", "line 2 of the predictions is no number"),
        ("id,status,label,decision,p_a,p_b\na,ok,a,a,2,1\n", "Line 2"),
        ("id,status,label,decision,p_a,p_b\na,ok,a,a,nan,1\n", "Line 2"),
        ("id,status,label,decision,p_a,p_b\na,ok,a,c,0,1\n", "Line 2"),
        ("id,status,label,decision,p_a,p_b\na,fine,a,a,0,1\n", "Line 2"),
        ("id,status,label,decision,p_a,p_b\na,ok,a,a,0,1\na,ok,a,a,0,1\n", "twice"),
    ],
)
def test_bad_predictions_say_what_is_wrong(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(BadTable, match=cause):
        read_predictions(tmp_path / "p.csv")


def test_what_was_answered_before_a_stop_is_kept(tmp_path: Path) -> None:
    entries = [Entry(Row(f"f{i}", Path(f"{i}"), "pneumonia"), synthetic_film(i)) for i in range(8)]

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(
            CARD, [e.row for e in entries], {"pneumonia": "pneumonia"}, entries=entries, out=tmp_path, progress=stop
        )
    assert [line.id for line in read_predictions(tmp_path / "predictions.csv").lines] == [f"f{i}" for i in range(5)]
