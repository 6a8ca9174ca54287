import numpy as np
import pytest

from medimg_core.render.colours import AGAINST, FOR, blend


def test_top_of_the_ramps_is_the_last_stop_at_full_opacity() -> None:
    film = np.zeros((1, 2), np.float32)
    shown = blend(film, np.array([[1.0, -1.0]], np.float32), opacity=1.0)
    assert tuple(shown[0, 0]) == FOR[2] == (0xFF, 0xC9, 0x5A)
    assert tuple(shown[0, 1]) == AGAINST[2] == (0x5D, 0xBD, 0xFF)


def test_opacity_grows_with_the_value() -> None:
    """Half the value: the ramp's colour at 0.5 (entry 128 of 256) at opacity 0.65 x 0.5 over grey 128."""
    shown = blend(np.full((1, 1), 128 / 255, np.float32), np.full((1, 1), 0.5, np.float32), opacity=0.65)
    share = 128 / 255 * 2 - 1  # a little above the middle stop
    colour = np.array(FOR[1]) + share * (np.array(FOR[2]) - np.array(FOR[1]))
    assert shown[0, 0] == pytest.approx(128 + 0.325 * (colour - 128), abs=1)


def test_no_evidence_is_no_colour() -> None:
    film = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    shown = blend(film, np.zeros((3, 4), np.float32))
    assert (shown == np.round(film * 255)[..., None]).all()
    below = blend(film, np.full((3, 4), 0.19, np.float32), threshold=0.2)
    assert (below == shown).all()


def test_values_above_the_scale_do_not_leave_the_ramp() -> None:
    film = np.zeros((1, 1), np.float32)
    assert (blend(film, np.full((1, 1), 7.0, np.float32)) == blend(film, np.ones((1, 1), np.float32))).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("opacity", [0.3, 0.65, 1.0])
def test_distance_to_the_film_grows_with_the_value(sign: int, opacity: float) -> None:
    """In CIE L*a*b*, over dark, middle and bright films: more evidence is always more visible."""
    import cv2

    values = np.linspace(0.05, 1, 30, dtype=np.float32)[None] * sign
    for grey in (0, 64, 128, 200, 255):
        shown = blend(np.full(values.shape, grey / 255, np.float32), values, opacity)
        lab = cv2.cvtColor(shown.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        plain = cv2.cvtColor(np.full((1, 1, 3), grey / 255, np.float32), cv2.COLOR_RGB2LAB)
        distance = np.linalg.norm(lab - plain, axis=-1)[0]
        assert (np.diff(distance) > -0.35).all()  # rounding to 8 bit moves a colour by up to a third of a unit


def test_colour_pictures_stay_coloured() -> None:
    film = np.zeros((2, 2, 3), np.float32)
    film[..., 2] = 1.0
    assert (blend(film, np.zeros((2, 2), np.float32)) == (0, 0, 255)).all()
