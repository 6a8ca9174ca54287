import numpy as np
import pytest
from sklearn import metrics as sk

from medimg_core.metrics import mean_interval, pixel_histogram, pixel_pr, wilson


def images(n: int = 6, levels: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Masks and maps that lie exactly on the levels; the last mask is empty."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 20, 30)) < 0.1
    truth[-1] = False
    p = np.clip(truth * rng.uniform(0.1, 0.6, (n, 1, 1)) + rng.normal(0.3, 0.15, truth.shape), 0, 1)
    return truth, np.rint(p * (levels - 1)) / (levels - 1)


@pytest.mark.parametrize("levels", [2, 256, 1024])
def test_area_and_curve_equal_scikit_learn(levels: int) -> None:
    truth, p = images(levels=levels)
    histograms = [pixel_histogram(t, q, levels) for t, q in zip(truth, p, strict=True)]
    found = pixel_pr(histograms, draws=50)
    assert found.pooled.value == pytest.approx(sk.average_precision_score(truth.ravel(), p.ravel()), abs=1e-12)
    own = [sk.average_precision_score(t.ravel(), q.ravel()) for t, q in zip(truth[:-1], p[:-1], strict=True)]
    assert found.per_image.value == pytest.approx(np.mean(own), abs=1e-12)
    assert (found.pooled.n, found.per_image.n) == (6, 5)
    assert found.prevalence == pytest.approx(truth.mean(), abs=1e-12)
    middle = levels // 2
    called = p >= found.thresholds[middle] - 1e-9
    assert found.precision[middle] == pytest.approx(sk.precision_score(truth.ravel(), called.ravel()), abs=1e-12)
    assert found.recall[middle] == pytest.approx(sk.recall_score(truth.ravel(), called.ravel()), abs=1e-12)
    assert found.recall[-1] == 1.0


def test_interval_is_that_of_images_drawn_by_patient() -> None:
    truth, p = images(8)
    patients = np.arange(8) // 2
    histograms = [pixel_histogram(t, q) for t, q in zip(truth, p, strict=True)]
    found = pixel_pr(histograms, patients, draws=200, seed=4)
    counts = np.random.default_rng(4).multinomial(4, np.full(4, 0.25), size=200)[:, patients]
    areas = [sk.average_precision_score(truth.repeat(c, axis=0).ravel(), p.repeat(c, axis=0).ravel()) for c in counts]
    assert (found.pooled.low, found.pooled.high) == pytest.approx(tuple(np.percentile(areas, (2.5, 97.5))), abs=1e-9)
    own = [sk.average_precision_score(t.ravel(), q.ravel()) for t, q in zip(truth[:-1], p[:-1], strict=True)]
    assert found.per_image.low == pytest.approx(mean_interval(own, patients[:-1], 200, 4).low, abs=1e-9)


def test_a_histogram_counts_every_pixel_once_and_rounds_to_the_nearest_level() -> None:
    found = pixel_histogram([[True, False, True]], np.array([[0.0, 0.24, 1.0]], np.float32), levels=3)
    assert found.tolist() == [[1, 0, 0], [1, 0, 1]]
    assert found.dtype == np.int64
    masked = pixel_histogram([True, True, False], [0.9, np.nan, 0.1], 2, valid=[True, False, True])
    assert masked.tolist() == [[1, 0], [0, 1]]
    whole = np.arange(256) / 255
    assert (pixel_histogram(np.zeros(256), whole)[0] == 1).all()


def test_pixels_outside_the_levels_of_chance() -> None:
    """A constant map has the prevalence for an area; a perfect one 1, with an interval that counts patients."""
    truth = np.zeros((4, 10, 10), bool)
    truth[:, :3] = True
    flat = pixel_pr([pixel_histogram(t, np.full(t.shape, 0.5)) for t in truth])
    assert flat.pooled.value == flat.per_image.value == pytest.approx(0.3)
    perfect = pixel_pr([pixel_histogram(t, t.astype(float)) for t in truth], ["a", "a", "b", "b"])
    assert (perfect.pooled.value, perfect.pooled.low, perfect.pooled.high) == (1.0, wilson(2, 2).low, 1.0)
    assert (perfect.per_image.value, perfect.per_image.low) == (1.0, wilson(2, 2).low)


def test_one_image_and_images_without_truth() -> None:
    truth, p = images(3)
    one = pixel_pr([pixel_histogram(truth[0], p[0])])
    assert one.pooled.value == one.per_image.value
    assert one.pooled.low == wilson(one.pooled.value, 1).low
    with_empty = pixel_pr([pixel_histogram(t, q) for t, q in zip(truth[[0, 2]], p[[0, 2]], strict=True)])
    assert with_empty.pooled.value < one.pooled.value  # its pixels are called falsely
    assert with_empty.per_image.value == one.per_image.value
    with pytest.raises(ValueError, match="no image"):
        pixel_pr([pixel_histogram(truth[2], p[2])])


def test_what_is_no_map() -> None:
    mask = np.ones((2, 2), bool)
    for wrong in (np.full((2, 2), 1.5), np.full((2, 2), np.nan), np.full((2, 2), -0.1)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            pixel_histogram(mask, wrong)
    with pytest.raises(ValueError, match="one shape"):
        pixel_histogram(mask, np.ones((2, 3)))
    with pytest.raises(ValueError, match="two levels"):
        pixel_histogram(mask, np.ones((2, 2)), levels=1)
    with pytest.raises(ValueError, match="every image"):
        pixel_pr(np.zeros((0, 2, 256)))
