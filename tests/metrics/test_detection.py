import time
from dataclasses import replace

import numpy as np
import pytest

from medimg_core.metrics import ImageBoxes, average_precision, average_precision_test, box_iou, froc, match, wilson

Boxes = np.ndarray


def random_boxes(rng: np.random.Generator, n: int, size: float = 100.0) -> Boxes:
    corner = rng.uniform(0, size, (n, 2))
    return np.hstack([corner, corner + rng.uniform(5, 40, (n, 2))])


def some_images(n: int = 25, seed: int = 0, decimals: int = 6) -> list[ImageBoxes]:
    """True boxes, found ones near most of them, false ones, in every mixture of none and several; two a patient."""
    rng = np.random.default_rng(seed)
    images = []
    for i in range(n):
        truth = random_boxes(rng, int(rng.integers(0, 5)))
        near = truth[rng.random(len(truth)) < 0.8]
        near = np.repeat(near, rng.integers(1, 3, len(near)), axis=0)
        near = near + np.tile(rng.normal(0, 3, (len(near), 2)), 2)
        found = np.vstack([near, random_boxes(rng, int(rng.integers(0, 4)))])
        scores = np.append(rng.beta(4, 2, len(near)), rng.beta(2, 3, len(found) - len(near)))
        images.append(ImageBoxes(truth, found, scores.round(decimals), f"p{i // 2}"))
    return images


def slow_iou(a: Boxes, b: Boxes) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    shared = w * h if w > 0 and h > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union else 0.0


def slow_hits(image: ImageBoxes, threshold: float | None) -> list[tuple[float, bool]]:
    """Score and verdict of each found box, surest first, by loops over pairs."""
    taken: set[int] = set()
    verdicts = []
    for d in sorted(range(len(image.found)), key=lambda d: -image.scores[d]):
        best, best_overlap = None, -1.0
        for g, box in enumerate(image.truth):
            overlap = slow_iou(box, image.found[d])
            if threshold is None:
                x, y = (image.found[d][0] + image.found[d][2]) / 2, (image.found[d][1] + image.found[d][3]) / 2
                counts = box[0] <= x <= box[2] and box[1] <= y <= box[3]
            else:
                counts = overlap >= threshold
            if counts and g not in taken and overlap > best_overlap:
                best, best_overlap = g, overlap
        verdicts.append((image.scores[d], best is not None))
        if best is not None:
            taken.add(best)
    return verdicts


def pooled(images: list[ImageBoxes], threshold: float | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Hits and scores of all images, surest first, and the number of true boxes."""
    verdicts = sorted((v for image in images for v in slow_hits(image, threshold)), key=lambda v: -v[0])
    return np.array([v[1] for v in verdicts]), np.array([v[0] for v in verdicts]), sum(len(i.truth) for i in images)


def voc_2010(hits: np.ndarray, truths: int) -> float:
    """The loop of the VOC 2010 development kit."""
    true = np.cumsum(hits)
    rec = np.concatenate([[0.0], true / truths, [1.0]])
    prec = np.concatenate([[0.0], true / np.arange(1, hits.size + 1), [0.0]])
    for i in range(prec.size - 2, -1, -1):
        prec[i] = max(prec[i], prec[i + 1])
    steps = np.flatnonzero(rec[1:] != rec[:-1]) + 1
    return float(((rec[steps] - rec[steps - 1]) * prec[steps]).sum())


def coco(hits: np.ndarray, truths: int) -> float:
    """The accumulation of COCO's evaluation, at one overlap."""
    true = np.cumsum(hits)
    recall, precision = true / truths, (true / np.arange(1, hits.size + 1)).tolist()
    for i in range(len(precision) - 1, 0, -1):
        precision[i - 1] = max(precision[i - 1], precision[i])
    q = np.zeros(101)
    for number, index in enumerate(np.searchsorted(recall, np.linspace(0, 1, 101), side="left")):
        if index < len(precision):
            q[number] = precision[index]
    return float(q.mean())


def repeated(images: list[ImageBoxes], draw: np.ndarray) -> list[ImageBoxes]:
    return [image for image, times in zip(images, draw, strict=True) for _ in range(times)]


def test_overlap_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, 12), random_boxes(rng, 7)
    expected = [[slow_iou(p, q) for q in b] for p in a]
    assert box_iou(a, b) == pytest.approx(np.array(expected), abs=1e-12)
    assert box_iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [2, 0, 4, 2], [0, 0, 2, 2]]) == pytest.approx(
        np.array([[1 / 7, 0.0, 1.0]])
    )
    point = [[1, 1, 1, 1]]
    assert box_iou(point, point) == 0.0
    assert box_iou([], b).shape == (0, 7)
    assert box_iou(a, []).shape == (12, 0)


@pytest.mark.parametrize("wrong", [[[2, 0, 1, 1]], [[0, 2, 1, 1]], [[0, 0, 1]], [[0, 0, 1, np.nan]], [0, 0, 1, 1]])
def test_what_is_no_box(wrong: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="x1 >= x0"):
        box_iou(wrong, [])


def test_each_takes_the_free_true_box_that_it_overlaps_most() -> None:
    truth = [[0, 0, 10, 10], [2, 0, 12, 10]]
    found = [[0, 0, 10, 10], [1, 0, 11, 10], [40, 40, 50, 50], [0, 0, 10, 10]]
    # The surest box fits both true ones equally and takes the first; the next takes what is left; copies are false.
    assert match(truth, found, [0.8, 0.9, 0.7, 0.6]).tolist() == [1, 0, -1, -1]
    assert match(truth, found, [0.9, 0.8, 0.7, 0.6]).tolist() == [0, 1, -1, -1]
    assert match(truth, found, [0.5, 0.5, 0.5, 0.5]).tolist() == [0, 1, -1, -1]


def test_the_overlap_itself_counts() -> None:
    truth = [[0, 0, 2, 1]]
    assert match(truth, [[0, 0, 1, 1]], [1.0], iou=0.5).tolist() == [0]
    assert match(truth, [[0, 0, 0.99, 1]], [1.0], iou=0.5).tolist() == [-1]
    assert match(truth, truth, [1.0], iou=1.0).tolist() == [0]


def test_a_centre_inside_counts() -> None:
    truth = [[0, 0, 100, 100], [10, 10, 20, 20]]
    assert match(truth, [[14, 14, 16, 16]], [1.0], iou=None).tolist() == [1]
    assert match(truth, [[90, 40, 110, 60]], [1.0], iou=None).tolist() == [0]  # on the edge
    assert match(truth, [[90, 40, 111, 60]], [1.0], iou=None).tolist() == [-1]
    assert match(truth, [[15, 15, 15, 15], [15, 15, 15, 15], [15, 15, 15, 15]], [3, 1, 2], iou=None).tolist() == [
        0,
        -1,
        1,
    ]


def test_matching_edges() -> None:
    assert match([], [[0, 0, 1, 1]], [0.5]).tolist() == [-1]
    assert match([[0, 0, 1, 1]], [], []).tolist() == []
    for scores in ([], [0.1, 0.2], [np.nan]):
        with pytest.raises(ValueError, match="finite score"):
            match([[0, 0, 1, 1]], [[0, 0, 1, 1]], scores)
    for iou in (0.0, 1.1, np.nan):
        with pytest.raises(ValueError, match="overlap"):
            match([], [], [], iou)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.75, None])
def test_average_precision_equals_the_loops_of_voc_and_coco(threshold: float | None) -> None:
    images = some_images()
    hits, scores, truths = pooled(images, threshold)
    found = average_precision(images, threshold, draws=20)
    assert np.unique(scores).size == scores.size
    assert found.all_points.value == pytest.approx(voc_2010(hits, truths), abs=1e-12)
    assert found.points_101.value == pytest.approx(coco(hits, truths), abs=1e-12)
    assert found.recall == pytest.approx(np.cumsum(hits) / truths, abs=1e-12)
    assert found.precision == pytest.approx(np.cumsum(hits) / np.arange(1, hits.size + 1), abs=1e-12)
    assert (found.thresholds == scores).all()
    assert (found.images, found.truths, found.patients) == (25, truths, 13)
    assert found.all_points.low < found.all_points.value < found.all_points.high


def test_average_precision_by_hand() -> None:
    """Found, false, found of three: (1/3) * 1 + (1/3) * (2/3), and 34 and 33 of the 101 points."""
    truth = [[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]]
    image = ImageBoxes(truth, [truth[0], [60, 0, 69, 9], truth[2]], [0.9, 0.8, 0.7], "a")
    found = average_precision([image], draws=10)
    assert found.all_points.value == pytest.approx(1 / 3 + 2 / 9)
    assert found.points_101.value == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert found.all_points.low == wilson(5 / 9, 1).low  # one patient


def test_ties_do_not_depend_on_the_order_of_images() -> None:
    images = some_images(decimals=1)
    forward, back = average_precision(images, draws=10), average_precision(images[::-1], draws=10)
    assert forward.all_points.value == pytest.approx(back.all_points.value, abs=1e-12)
    assert forward.thresholds.size == np.unique(np.concatenate([i.scores for i in images])).size
    box = [[0, 0, 9, 9]]
    tied = [ImageBoxes([], box, [0.5], "a"), ImageBoxes(box, box, [0.5], "b")]
    assert average_precision(tied, draws=50).all_points.value == 0.5


def test_images_without_truth_count_their_false_boxes() -> None:
    box, far = [[0, 0, 9, 9]], [[50, 50, 59, 59]]
    sick = ImageBoxes(box, box, [0.5], "a")
    assert average_precision([sick, ImageBoxes([], [], [], "b")], draws=50).all_points.value == 1.0
    assert average_precision([sick, ImageBoxes([], far, [0.9], "b")], draws=50).all_points.value == 0.5
    curve = froc([sick, ImageBoxes([], far, [0.9], "b")], rates=(0.25, 0.5), draws=50)
    assert curve.false_per_image.tolist() == [0.0, 0.5, 0.5]
    assert curve.sensitivity.tolist() == [0.0, 0.0, 1.0]
    assert [at.value for at in curve.at] == [0.0, 1.0]
    assert curve.mean.value == 0.5


@pytest.mark.parametrize("figure", [average_precision, froc])
def test_nothing_found_and_nothing_to_find(figure) -> None:
    box = [[0, 0, 9, 9]]
    missed = [ImageBoxes(box, [], [], "a"), ImageBoxes(box, [], [], "b")]
    value = figure(missed).all_points if figure is average_precision else figure(missed).mean
    assert (value.value, value.low, value.high) == (0.0, 0.0, wilson(0, 2).high)
    for images in ([], [ImageBoxes([], box, [0.5], "a")]):
        with pytest.raises(ValueError, match="no image"):
            figure(images)


def test_everything_found_counts_the_patients_with_truth() -> None:
    box = [[0, 0, 9, 9]]
    images = [ImageBoxes(box, box, [0.9], f"p{i // 2}") for i in range(10)] + [ImageBoxes([], [], [], "well")]
    found = average_precision(images)
    assert (found.all_points.value, found.all_points.low, found.all_points.high) == (1.0, wilson(5, 5).low, 1.0)
    assert froc(images).at[0] == found.all_points


@pytest.mark.parametrize("threshold", [0.5, None])
@pytest.mark.parametrize("decimals", [6, 1])
def test_froc_equals_a_search_over_thresholds(threshold: float | None, decimals: int) -> None:
    images = some_images(decimals=decimals)
    hits, scores, truths = pooled(images, threshold)
    rates = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 8.0)
    found = froc(images, threshold, rates, draws=20)
    corners = [(0.0, 0.0)]
    for cut in np.unique(scores)[::-1]:
        called = scores >= cut
        corners.append(((called & ~hits).sum() / len(images), (called & hits).sum() / truths))
    assert np.column_stack([found.false_per_image, found.sensitivity]) == pytest.approx(np.array(corners), abs=1e-12)
    best = [max(y for x, y in corners if x <= rate) for rate in rates]
    assert [at.value for at in found.at] == pytest.approx(best, abs=1e-12)
    assert found.mean.value == pytest.approx(np.mean(best), abs=1e-12)
    assert all(at.low <= at.value <= at.high for at in found.at)
    with pytest.raises(ValueError, match="rates"):
        froc(images, rates=(-1.0,))


def test_intervals_are_those_of_images_drawn_by_patient() -> None:
    images = some_images(16, seed=3, decimals=2)
    counts = np.random.default_rng(7).multinomial(8, np.full(8, 1 / 8), size=150)
    index = np.unique([i.group for i in images], return_inverse=True)[1]
    areas, reached = [], []
    for draw in counts[:, index]:
        sample = repeated(images, draw)
        one = average_precision(sample, draws=2)
        areas.append((one.all_points.value, one.points_101.value))
        reached.append(froc(sample, 0.5, (0.5, 1.0), draws=2).mean.value)
    low, high = np.percentile(areas, (2.5, 97.5), axis=0)
    found = average_precision(images, draws=150, seed=7)
    assert (found.all_points.low, found.all_points.high) == pytest.approx((low[0], high[0]), abs=1e-9)
    assert (found.points_101.low, found.points_101.high) == pytest.approx((low[1], high[1]), abs=1e-9)
    curve = froc(images, 0.5, (0.5, 1.0), draws=150, seed=7)
    assert (curve.mean.low, curve.mean.high) == pytest.approx(tuple(np.percentile(reached, (2.5, 97.5))), abs=1e-9)


def test_the_difference_of_two_models_is_that_of_images_drawn_by_patient_for_both() -> None:
    a = some_images(16, seed=3, decimals=2)
    rng = np.random.default_rng(1)
    b = [replace(image, scores=rng.random(len(np.asarray(image.scores)))) for image in a]
    counts = np.random.default_rng(7).multinomial(8, np.full(8, 1 / 8), size=150)
    index = np.unique([i.group for i in a], return_inverse=True)[1]
    gaps = [
        average_precision(repeated(a, draw), draws=2).all_points.value
        - average_precision(repeated(b, draw), draws=2).all_points.value
        for draw in counts[:, index]
    ]
    found = average_precision_test(a, b, draws=150, seed=7)
    one, other = (average_precision(images, draws=2).all_points.value for images in (a, b))
    assert (found.a.value, found.b.value, found.difference.value) == pytest.approx((one, other, one - other))
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(np.percentile(gaps, (2.5, 97.5))))
    fewer = min(np.sum(np.array(gaps) <= 0), np.sum(np.array(gaps) >= 0))
    assert found.p == pytest.approx(min(1, 2 * (fewer + 1) / 151))
    same = average_precision_test(a, a, draws=50)
    assert (same.difference.value, same.p) == (0, 1)
    with pytest.raises(ValueError, match="same images"):
        average_precision_test(a, b[:-1])
    with pytest.raises(ValueError, match="same images"):
        average_precision_test(a, [replace(b[0], group="elsewhere"), *b[1:]])


def test_a_thousand_images_take_seconds() -> None:
    images = some_images(1000, seed=1)
    started = time.process_time()
    average_precision(images)
    froc(images)
    assert time.process_time() - started < 30
