from __future__ import annotations

from pathlib import Path

from medimg_core.training.data import Record
from medimg_core.training.folds import assign


def film(patient: int, positive: bool) -> Record:
    return Record("s", f"{patient}{positive}", Path("x"), "train", f"p{patient}", float(positive), 1.0, True, "")


def test_patients_stay_together_and_positives_are_spread() -> None:
    # 20 patients with two films, ten of them with a positive one.
    records = [film(i, i < 10 and side) for i in range(20) for side in (False, True)]
    place = assign(records, 5, seed=1)
    assert place[::2] == place[1::2]
    for fold in range(5):
        inside = {r.patient for r, k in zip(records, place, strict=True) if k == fold}
        assert len(inside) == 4
        assert sum(int(p[1:]) < 10 for p in inside) == 2


def test_the_same_seed_gives_the_same_folds() -> None:
    records = [film(i, i % 3 == 0) for i in range(30)]
    assert assign(records, 5, seed=1) == assign(records[::-1], 5, seed=1)[::-1]
    assert assign(records, 5, seed=1) != assign(records, 5, seed=2)
