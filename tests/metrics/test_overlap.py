import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score, jaccard_score

from medimg_core.metrics import average_surface_distance, dice, dice_per_patient, hd95, iou, mean_interval, wilson


def blob(rows: int, columns: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return (y - centre[0]) ** 2 + 2 * (x - centre[1]) ** 2 < radius**2


def boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels with a direct neighbour outside, found one by one."""
    wide = np.pad(mask, 1)
    spots = []
    for spot in np.argwhere(mask):
        steps = [(axis, by) for axis in range(mask.ndim) for by in (-1, 1)]
        around = [wide[tuple(spot + 1 + by * (np.arange(mask.ndim) == axis))] for axis, by in steps]
        if not all(around):
            spots.append(spot)
    return np.array(spots)


def directed(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    gaps = cdist(boundary(a) * spacing, boundary(b) * spacing)
    return gaps.min(axis=1), gaps.min(axis=0)


def test_dice_and_iou_of_pixels_are_their_f1_and_jaccard() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((40, 50)) < 0.3, rng.random((40, 50)) < 0.3
    assert dice(a, b) == pytest.approx(f1_score(a.ravel(), b.ravel()), abs=1e-12)
    assert iou(a, b) == pytest.approx(jaccard_score(a.ravel(), b.ravel()), abs=1e-12)
    assert iou(a, b) == pytest.approx(dice(a, b) / (2 - dice(a, b)), abs=1e-12)


@pytest.mark.parametrize("measure", [dice, iou])
def test_edges(measure) -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert measure(empty, empty) == 1.0
    assert measure(empty, full) == 0.0
    assert measure(full, full) == 1.0
    with pytest.raises(ValueError, match="one shape"):
        measure(full, full[:2])


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 0.7), (2.5, 0.4)])
@pytest.mark.parametrize("seed", [0, 1])
def test_distances_equal_those_of_all_pairs_of_boundary_pixels(spacing: tuple[float, float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = blob(50, 60, (22, 30), 15) ^ (rng.random((50, 60)) < 0.02)
    b = blob(50, 60, (26, 27), 13)
    to_b, to_a = directed(a, b, spacing)
    expected = max(np.percentile(to_b, 95), np.percentile(to_a, 95))
    assert hd95(a, b, spacing) == pytest.approx(expected, abs=1e-9)
    assert hd95(b, a, spacing) == pytest.approx(expected, abs=1e-9)
    assert average_surface_distance(a, b, spacing) == pytest.approx(np.concatenate([to_b, to_a]).mean(), abs=1e-9)


def test_distances_in_three_dimensions() -> None:
    a, b = np.zeros((6, 12, 12), bool), np.zeros((6, 12, 12), bool)
    a[1:5, 2:9, 3:9], b[2:6, 2:8, 1:9] = True, True
    spacing = (3.0, 0.5, 0.8)
    to_b, to_a = directed(a, b, spacing)
    expected = max(np.percentile(to_b, 95), np.percentile(to_a, 95))
    assert hd95(a, b, spacing) == pytest.approx(expected, abs=1e-9)


def test_distances_have_closed_forms() -> None:
    one, other = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    one[3, 4], other[6, 8] = True, True
    assert hd95(one, other) == 5.0
    assert hd95(one, other, (2.0, 0.5)) == pytest.approx(np.hypot(6.0, 2.0))
    assert average_surface_distance(one, other) == 5.0
    wall, moved = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    wall[:, 5], moved[:, 9] = True, True
    assert hd95(wall, moved, (1.0, 0.25)) == 1.0
    assert hd95(wall, wall) == average_surface_distance(wall, wall) == 0.0


def test_the_edge_of_the_image_is_a_boundary_and_holes_have_one() -> None:
    full = np.ones((11, 11), bool)
    ring = full.copy()
    ring[5, 5] = False
    # The frame is common; the four pixels around the hole are 4 from the frame: 4 of 44 reach beyond 95 %.
    assert hd95(full, ring) == 4.0
    assert average_surface_distance(full, ring) == pytest.approx(4 * 4 / (40 + 44))


@pytest.mark.parametrize("measure", [hd95, average_surface_distance])
def test_distances_of_empty_masks(measure) -> None:
    empty, full = np.zeros((4, 5), bool), np.ones((4, 5), bool)
    assert measure(empty, empty) == 0.0
    assert measure(empty, full) == measure(full, empty) == np.inf
    with pytest.raises(ValueError, match="one shape"):
        measure(full, full[:2])
    for spacing in ((1.0,), (1.0, 1.0, 1.0), (0.0, 1.0), (np.nan, 1.0)):
        with pytest.raises(ValueError, match="spacing"):
            measure(full, full, spacing)


def test_dice_per_patient_is_that_of_the_volume() -> None:
    rng = np.random.default_rng(3)
    volumes = [(rng.random((2, k, 9, 9)) < 0.2) for k in (1, 4, 7)]
    intersections, sizes, groups = [], [], []
    for name, (a, b) in zip("xyz", volumes, strict=True):
        intersections += [(p & q).sum() for p, q in zip(a, b, strict=True)]
        sizes += [p.sum() + q.sum() for p, q in zip(a, b, strict=True)]
        groups += [name] * len(a)
    found = dice_per_patient(intersections, sizes, groups)
    values = [dice(a, b) for a, b in volumes]
    assert found.value == pytest.approx(np.mean(values), abs=1e-12)
    assert found.n == 3
    single = mean_interval(values, share=True)
    assert (found.low, found.high) == pytest.approx((single.low, single.high), abs=1e-12)


def test_dice_per_patient_of_several_structures_is_their_mean() -> None:
    both, sizes = np.array([[1, 0], [4, 0], [3, 5]]), np.array([[10, 4], [10, 0], [6, 20]])
    found = dice_per_patient(both, sizes, ["a", "a", "b"])
    assert found.value == pytest.approx(((2 * 5 / 20 + 0) / 2 + (1 + 0.5) / 2) / 2, abs=1e-12)
    values = [0.25, 0.75]
    single = mean_interval(values, share=True)
    assert (found.n, found.low, found.high) == (2, pytest.approx(single.low), pytest.approx(single.high))


def test_dice_per_patient_of_nothing_and_of_one_patient() -> None:
    assert dice_per_patient([0, 0], [0, 0], ["a", "b"]).value == 1.0
    assert dice_per_patient([0, 5], [0, 20], ["a", "a"]).value == 0.5
    assert dice_per_patient([5], [20]).low == wilson(0.5, 1).low
    perfect = dice_per_patient([10] * 8, [20] * 8, np.repeat(np.arange(4), 2))
    assert (perfect.value, perfect.low, perfect.high) == (1.0, wilson(4, 4).low, 1.0)
    for wrong in (([], []), ([1, 2], [4]), ([3], [4]), ([-1], [4])):
        with pytest.raises(ValueError, match=r"vectors of one length|none and all"):
            dice_per_patient(*wrong)
