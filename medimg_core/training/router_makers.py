"""What the router learns from: every class as it is loaded on purpose, and what is loaded by mistake.

Spoiled pictures (inverted, turned, cut, written over, several in one), screens and photographed films are made from
real pictures. `disturb` then varies exposure, sharpness and noise in the same way for all classes, so that no class
can be told by the way it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from medimg_core.training.router_outliers import clouds, other_medical
from medimg_core.training.router_pictures import (
    Draw,
    Picture,
    border,
    chest_cropped,
    chest_inverted,
    chest_turned,
    colour,
    erase,
    framed,
    frontal,
    grey,
    marker,
    warp,
    window,
)
from medimg_core.training.router_sources import SETS

KNOWN = tuple(dict.fromkeys(SETS.values()))
"""The known kinds besides frontal chest films."""

_ANY_WAY_UP = frozenset({"bone_film", "fundus", "fetal_ultrasound", "lung_nodule_patch"})
"""Kinds that have no upper edge."""
_ZOOM: Mapping[str, tuple[float, float]] = {
    "bone_film": (0.5, 1.12),
    "lung_ct": (0.85, 1.5),
    "head_ct": (0.85, 1.3),
    "brain_mr_t1c": (0.85, 1.25),
    "brain_mr_sequences": (0.85, 1.25),
    "lung_nodule_patch": (0.6, 1.1),
    "mammogram": (0.6, 1.1),
    "breast_ultrasound": (0.65, 1.1),
    "fundus": (0.75, 1.1),
}
"""How much of a stored picture is shown: smallest and largest share of its sides; others 0.85 to 1.1."""
TURNABLE = ("head_ct", "brain_mr_t1c", "brain_mr_sequences", "cardiac_ultrasound", "mammogram", "breast_ultrasound")
"""Kinds with an upper edge."""
CUTTABLE = ("head_ct", "brain_mr_t1c", "brain_mr_sequences", "cardiac_ultrasound", "fetal_ultrasound")
"""Kinds of which a small part is no picture to judge; a part of a lung is what nodules are shown on."""
SINGLE = tuple(kind for kind in KNOWN if kind != "bone_film")
"""Kinds of which two in one are too many; films of limbs often show two views."""
_LAYOUTS = ((1, 2), (1, 2), (2, 1), (2, 1), (2, 2), (1, 3))
"""Rows and columns of a picture that holds several."""
_WORDS = ("Name", "File", "Edit", "View", "Open", "Help", "Series 1", "W 1500 L -600", "Report", "the and of", "12:45")


def known(draw: Draw, label: str) -> Picture:
    """A picture of a known kind: a little turned, shifted, stretched and mirrored; framed or marked at times."""
    picture = draw.other(label)
    least, most = _ZOOM.get(label, (0.85, 1.1))
    zoom = float(draw.rng.uniform(least, most))
    width, height = np.clip(zoom * np.exp(draw.rng.normal(0, 0.06, 2)), least, most)
    left, top = (0.5 + draw.rng.uniform(-0.5, 0.5, 2)) * (1 - np.array([width, height]))
    turn = float(draw.rng.normal(0, 5.0))
    if label in _ANY_WAY_UP:
        turn += float(draw.rng.choice([0, 0, 0, 90, 180, 270]) + draw.rng.normal(0, 12))
    box = (float(left), float(top), float(left + width), float(top + height))
    ground = border(draw) if label in ("bone_film", "breast_ultrasound") else 0
    if label == "brain_mr_sequences" and picture.ndim == 3 and draw.chance(0.12):
        picture = np.ascontiguousarray(picture[..., 1])  # FLAIR stands in for sequences that were not taken
    if label == "lung_ct" and draw.chance(0.4):
        picture, ground = _another_field(draw, picture)
    out = colour(warp(picture, window(draw.side, box, turn, draw.chance(0.5)), draw.side, ground))
    if label.endswith("ultrasound") and draw.chance(0.3):
        out = framed(draw, out)
        for _ in range(int(draw.rng.integers(2, 9))):
            _small_print(draw, out)
    elif draw.chance(0.08):
        out = framed(draw, out)
    if draw.chance(0.15):
        marker(draw, out)
    if draw.chance(0.08):
        erase(draw, out)
    return out


def _another_field(draw: Draw, picture: Picture) -> tuple[Picture, int]:
    """A CT slice as another scanner stores it: the air around is not quite black, the field of view may be round.

    Returns:
        The slice, and the shade of what lies outside it.
    """
    air = int(draw.rng.integers(20, 75))  # -1000 HU lies at 0.23 of the window -600/1500
    out = np.maximum(picture, air).astype(np.uint8)
    if draw.chance(0.5):
        y, x = np.mgrid[0 : out.shape[0], 0 : out.shape[1]] / out.shape[0] - 0.5
        outside = np.hypot(x, y) > draw.rng.uniform(0.44, 0.52)
        out = np.where(outside if out.ndim == 2 else outside[..., None], 0, out).astype(np.uint8)
        air = 0
    return out, air


def _small_print(draw: Draw, picture: Picture) -> None:
    """A word or a row of ticks at an edge, as ultrasound machines write them, in place."""
    side, shade = draw.side, int(draw.rng.integers(90, 256))
    along, across = int(draw.rng.integers(side)), int(draw.rng.choice([2, 5, side - 6, side - 3]))
    if draw.chance(0.5):
        for i in range(0, side, int(draw.rng.integers(4, 14))):
            picture[i, across : across + 2] = shade
        return
    size = float(draw.rng.uniform(0.12, 0.25))
    cv2.putText(
        picture, str(draw.rng.choice(_WORDS)), (along, across + 4), cv2.FONT_HERSHEY_SIMPLEX, size, (shade,) * 3
    )


def _whole(draw: Draw, labels: tuple[str, ...] = KNOWN) -> Picture:
    return known(draw, str(draw.rng.choice(labels)))


def inverted(draw: Draw) -> Picture:
    """A picture of a known kind with black and white exchanged."""
    return np.asarray(255 - _whole(draw), np.uint8)


def turned(draw: Draw) -> Picture:
    """A picture of a kind that has an upper edge, on its side or upside down."""
    return np.ascontiguousarray(np.rot90(_whole(draw, TURNABLE), int(draw.rng.integers(1, 4))))


def cropped(draw: Draw) -> Picture:
    """A small part of a slice: at most a fifth of its area, near its middle."""
    picture = draw.other(str(draw.rng.choice(CUTTABLE)))
    width, height = draw.rng.uniform(0.22, 0.45, 2)
    left, top = draw.rng.uniform(0.15, 0.85 - np.array([width, height]))
    box = (float(left), float(top), float(left + width), float(top + height))
    return colour(warp(picture, window(draw.side, box, float(draw.rng.normal(0, 5)), draw.chance(0.5)), draw.side))


def written(draw: Draw) -> Picture:
    """A picture with lines of text or boxes over a third of it and more."""
    out = frontal(draw) if draw.chance(0.3) else _whole(draw)
    if draw.chance(0.7):
        step = int(draw.rng.integers(7, 14))
        shade = int(draw.rng.choice([255, 255, 220, 0]))
        first, last = sorted(draw.rng.uniform(0, 1, 2))
        first, last = (first, last) if last - first > 0.5 else (0.0, 1.0)
        for y in range(int(first * draw.side) + step, int(last * draw.side), step):
            text = " ".join(str(draw.rng.choice(_WORDS)) for _ in range(5))
            size = step / 28
            cv2.putText(out, text, (int(draw.rng.integers(-8, 12)), y), cv2.FONT_HERSHEY_SIMPLEX, size, (shade,) * 3, 1)
        return out
    for _ in range(int(draw.rng.integers(4, 9))):
        rows, columns = (int(draw.side * s) for s in draw.rng.uniform(0.2, 0.45, 2))
        top, left = int(draw.rng.integers(draw.side - rows)), int(draw.rng.integers(draw.side - columns))
        out[top : top + rows, left : left + columns] = int(draw.rng.integers(256))
    return out


def chest_several(draw: Draw) -> Picture:
    """Two to four pictures in one, the first a film; now and then the others are of another examination."""

    def first() -> Picture:
        return frontal(draw)

    def other() -> Picture:
        if draw.chance(0.6):
            return frontal(draw)
        kind = draw.rng.random()
        return chest_inverted(draw) if kind < 0.1 else known(draw, "bone_film") if kind < 0.7 else _whole(draw)

    return _tiled(draw, first, other)


def several(draw: Draw) -> Picture:
    """Two to four pictures of known kinds in one, most often of one kind."""
    label = str(draw.rng.choice(SINGLE))

    def one() -> Picture:
        return known(draw, label) if draw.chance(0.8) else _whole(draw, SINGLE)

    return _tiled(draw, one, one)


def _tiled(draw: Draw, first: Callable[[], Picture], other: Callable[[], Picture]) -> Picture:
    """Pictures side by side or below each other, with or without a gap; two may divide the space unequally."""
    layout = _LAYOUTS[int(draw.rng.integers(len(_LAYOUTS)))]
    out = np.full((draw.side, draw.side, 3), int(draw.rng.choice([0, 0, 255, 60])), np.uint8)
    gap = int(draw.rng.choice([0, 0, 1, 2, 4, 6]))
    shaped = draw.chance(0.3)  # each keeps its shape inside its cell, as a two-window screen shows them
    uneven = float(draw.rng.uniform(0.35, 0.65))
    rows = _edges(layout[0], draw.side, uneven)
    columns = _edges(layout[1], draw.side, uneven)
    for cell, (i, j) in enumerate((i, j) for i in range(layout[0]) for j in range(layout[1])):
        made = other() if cell else first()
        height, width = rows[i + 1] - rows[i] - gap, columns[j + 1] - columns[j] - gap
        if shaped:
            height = width = min(height, width)
        top = rows[i] + (rows[i + 1] - rows[i] - height) // 2
        left = columns[j] + (columns[j + 1] - columns[j] - width) // 2
        out[top : top + height, left : left + width] = cv2.resize(made, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(out[:, ::-1]) if draw.chance(0.5) else out


def _edges(count: int, side: int, share: float) -> list[int]:
    if count == 2:
        return [0, int(side * share), side]
    return [side * i // count for i in range(count + 1)]


def foreign(draw: Draw, label: str) -> Picture:
    """A picture of a class that no model takes, turned, cut, mirrored, inverted; in grey in half of the cases."""
    picture = draw.other(label)
    width, height = draw.rng.uniform(0.55, 1.15, 2)
    left, top = draw.rng.random(2) * (1 - np.array([width, height]))
    box = (float(left), float(top), float(left + width), float(top + height))
    turn = float(draw.rng.choice([0, 0, 0, 90, 180, 270]) + draw.rng.normal(0, 5.0))
    out = colour(warp(picture, window(draw.side, box, turn, draw.chance(0.5)), draw.side, border(draw)))
    if draw.chance(0.4):
        out = grey(out)
    return np.asarray(255 - out, np.uint8) if draw.chance(0.12) else out


def photo(draw: Draw) -> Picture:
    """A photograph, clouds of coloured noise, or a photograph of a film or print that lies on something."""
    kind = draw.rng.random()
    if kind < 0.62:
        return foreign(draw, "photo")
    if kind < 0.80:
        return _clouds(draw)
    ground = foreign(draw, "photo") if draw.chance(0.5) else np.full((draw.side,) * 2 + (3,), 30, np.uint8)
    return _laid(draw, ground, frontal(draw) if draw.chance(0.6) else _whole(draw))


def _clouds(draw: Draw) -> Picture:
    """Noise with a falling spectrum, grey or coloured: a stand-in for the texture of any scene."""
    noise = clouds(draw, channels=3) * 50 + draw.rng.uniform(60, 190, 3)
    out = np.clip(noise, 0, 255).astype(np.uint8)
    return grey(out) if draw.chance(0.5) else out


def _laid(draw: Draw, ground: Picture, film: Picture) -> Picture:
    """A film seen at an angle on a ground."""
    side = draw.side
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    inset = draw.rng.uniform(0.06, 0.30, (4, 2)).astype(np.float32) * side
    placed = corners + inset * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, placed)
    whole = cv2.warpPerspective(np.full((side, side), 255, np.uint8), matrix, (side, side)) > 127
    tint = draw.rng.uniform(0.75, 1.0, 3)
    shown = cv2.warpPerspective(film, matrix, (side, side)) * tint
    return np.where(whole[..., None], shown, ground).astype(np.uint8)


def document(draw: Draw) -> Picture:
    """A page, a drawing, a chart, a pattern, or a screen with a film in one of its windows."""
    kind = draw.rng.random()
    if kind < 0.45:
        return foreign(draw, "document")
    if kind < 0.75:
        return _screen(draw)
    return _page(draw) if kind < 0.90 else _pattern(draw)


def _shade(draw: Draw) -> tuple[int, int, int]:
    base = int(draw.rng.choice([20, 45, 200, 240, 255]))
    return tuple(int(np.clip(base + v, 0, 255)) for v in draw.rng.integers(-15, 16, 3))  # type: ignore[return-value]


def _screen(draw: Draw) -> Picture:
    """A window with bars, lists and a picture that covers a sixth to half of it."""
    side = draw.side
    out = np.empty((side, side, 3), np.uint8)
    out[:] = _shade(draw)
    inner = frontal(draw) if draw.chance(0.4) else _whole(draw) if draw.chance(0.8) else foreign(draw, "photo")
    rows, columns = (int(side * s) for s in draw.rng.uniform(0.4, 0.72, 2))
    top, left = int(draw.rng.integers(4, side - rows)), int(draw.rng.integers(0, side - columns))
    for _ in range(int(draw.rng.integers(1, 5))):  # bars and panels
        x, y = (int(v) for v in draw.rng.integers(0, side, 2))
        wide, high = (
            (side, int(draw.rng.integers(4, 14))) if draw.chance(0.5) else (int(draw.rng.integers(10, 40)), side)
        )
        cv2.rectangle(out, (x if wide != side else 0, y if high != side else 0), (x + wide, y + high), _shade(draw), -1)
    _lines(draw, out, int(draw.rng.integers(5, 25)))
    out[top : top + rows, left : left + columns] = cv2.resize(inner, (columns, rows), interpolation=cv2.INTER_AREA)
    return out


def _lines(draw: Draw, picture: Picture, count: int) -> None:
    for _ in range(count):
        where = (int(draw.rng.integers(-10, draw.side - 10)), int(draw.rng.integers(4, draw.side)))
        size = float(draw.rng.uniform(0.18, 0.4))
        cv2.putText(picture, str(draw.rng.choice(_WORDS)), where, cv2.FONT_HERSHEY_SIMPLEX, size, _shade(draw), 1)


def _page(draw: Draw) -> Picture:
    """Lines of dark marks on a light page, or light on dark; dense enough to read as text at this size."""
    side = draw.side
    out = np.full((side, side, 3), int(draw.rng.integers(215, 256)), np.uint8)
    step, margin = int(draw.rng.integers(3, 9)), int(draw.rng.integers(2, 20))
    for y in range(margin, side - margin, step):
        if draw.chance(0.12):
            continue
        x = margin
        end = side - margin - (int(draw.rng.integers(side // 2)) if draw.chance(0.2) else 0)
        while x < end:
            word = int(draw.rng.integers(2, 12))
            cv2.line(out, (x, y), (min(x + word, end), y), (int(draw.rng.integers(0, 130)),) * 3, max(1, step // 3))
            x += word + int(draw.rng.integers(1, 4))
    return np.asarray(255 - out, np.uint8) if draw.chance(0.2) else out


def _pattern(draw: Draw) -> Picture:
    """Stripes, checks, ramps, discs: what test images are made of."""
    side = draw.side
    y, x = np.mgrid[0:side, 0:side] / side
    turn, waves = draw.rng.uniform(0, np.pi), draw.rng.uniform(0.4, 14)
    along = x * np.cos(turn) + y * np.sin(turn)
    across = x * np.sin(turn) - y * np.cos(turn)
    radius = np.hypot(x - draw.rng.uniform(0.3, 0.7), y - draw.rng.uniform(0.3, 0.7))
    choice = int(draw.rng.integers(5))
    field = (
        along,
        np.sin(2 * np.pi * waves * along) / 2 + 0.5,
        (np.sin(2 * np.pi * waves * along) * np.sin(2 * np.pi * waves * across) > 0).astype(float),
        (radius < draw.rng.uniform(0.1, 0.45)).astype(float),
        draw.rng.random((side, side)) * 0.6 + radius * 0.4,
    )[choice]
    low, high = draw.rng.uniform(0, 90, 3), draw.rng.uniform(130, 255, 3)
    out = np.clip(low + (high - low) * field[..., None], 0, 255).astype(np.uint8)
    return grey(out) if draw.chance(0.6) else out


def disturb(draw: Draw, picture: Picture) -> Picture:
    """Exposure, contrast, sharpness, noise, a faint tint; the same for every class."""
    rng = draw.rng
    levels = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25))
    levels = np.clip((levels - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.08), 0, 1)
    out = np.asarray(cv2.LUT(picture, np.rint(levels * 255).astype(np.uint8)), np.uint8)
    if draw.chance(0.30):
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.6))), np.uint8)
    if draw.chance(0.25):
        noise = rng.normal(0, rng.uniform(1, 9), out.shape[:2])[..., None]
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if draw.chance(0.04):
        out = (out * rng.uniform(0.8, 1.0, 3)).astype(np.uint8)
    return out


_MAKERS: Mapping[str, Callable[[Draw], Picture]] = {
    "chest_frontal": frontal,
    "chest_inverted": chest_inverted,
    "chest_turned": chest_turned,
    "chest_cropped": chest_cropped,
    "chest_several": chest_several,
    "inverted": inverted,
    "turned": turned,
    "cropped": cropped,
    "several": several,
    "written": written,
    "other_medical": other_medical,
    "photo": photo,
    "document": document,
}


def make(draw: Draw, label: str) -> Picture:
    """A disturbed picture of a class: uint8 `[side, side, 3]`."""
    return disturb(draw, make_plain(draw, label))


def make_plain(draw: Draw, name: str) -> Picture:
    """An undisturbed picture: a class, or `photographed_film`, `screen`, `page`, `pattern`, `clouds`."""
    if name == "photographed_film":
        return _laid(draw, foreign(draw, "photo"), frontal(draw))
    plain = {**_MAKERS, "screen": _screen, "page": _page, "pattern": _pattern, "clouds": _clouds}
    return plain[name](draw) if name in plain else known(draw, name)
