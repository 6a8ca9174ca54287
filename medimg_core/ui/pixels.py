"""From an image to what the browser gets: whole numbers that a table turns into grey, and windows to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from medimg_core.imaging import apply_voi_lut, default_window
from medimg_core.types import FloatArray, Image, InputSpec, SaliencyMap, Window

_CT_WINDOWS = (
    ("Lung", -600.0, 1500.0),
    ("Mediastinum", 40.0, 400.0),
    ("Bone", 400.0, 1800.0),
    ("Brain", 40.0, 80.0),
)
_AUTO = {"title": "Auto", "auto": True}  # worked out in the browser, from the pixels of the image on the stage
# Shares of the default window that show the dark and the bright parts of a film apart.
_CHEST_WINDOWS = (("Lung", 0.04, 0.59), ("Soft tissue", 0.35, 0.94))
_BONE_WINDOWS = (("Bone", 0.40, 1.00), ("Soft tissue", 0.05, 0.60))
_FILMS = ("CR", "DX", "RG", "RF", "XA", "OT", None)
_CHEST = ("CHEST", "THORAX", "LUNG", "CHESTABDOMEN")
_BONES = """ANKLE ARM CALCANEUS CLAVICLE CSPINE ELBOW EXTREMITY FEMUR FINGER FOOT FOREARM HAND HIP HUMERUS KNEE LEG
LSPINE PATELLA PELVIS RADIUS SCAPULA SHOULDER SKULL SPINE TIBIA TLSPINE TOE TSPINE ULNA WRIST"""
_LARGEST_OVERLAY = 512
_MOST = 4
_LEVELS = 65536


@dataclass(frozen=True, slots=True)
class Encoding:
    """How modality values are stored for the browser: `value = stored * slope + intercept`."""

    kind: Literal["u8", "u16", "rgb"]
    slope: float = 1.0
    intercept: float = 0.0
    padding: int | None = None


def encoding(image: Image) -> Encoding:
    """The smallest exact encoding; values that are not whole, or span more than 16 bits, are stored in 65,536 steps."""
    if image.photometric == "RGB":
        return Encoding("rgb")
    finite = image.pixels[np.isfinite(image.pixels)]
    low, high = float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))
    if not low < high:
        low = 0.0 if not np.isfinite(low) else low
        return Encoding("u8", 1.0, low, _stored(image.padding, 1.0, low))
    whole = high - low <= 65535 and bool(np.array_equal(finite, np.rint(finite)))
    if whole and low >= 0 and high <= 255:
        return Encoding("u8", 1.0, 0.0, _stored(image.padding, 1.0, 0.0))
    slope = 1.0 if whole else (high - low) / 65535
    return Encoding("u16", slope, low, _stored(image.padding, slope, low))


def encodings(images: Sequence[Image]) -> list[Encoding]:
    """Encodings of the images of a stack; one for all where it holds them exactly: less work."""
    own = [encoding(image) for image in images]
    if len(own) < 2 or any(how.kind == "rgb" or how.slope != 1.0 for how in own):
        return own
    low = min(how.intercept for how in own)
    high = max(float(np.nanmax(image.pixels)) for image in images)
    paddings = {image.padding for image in images}
    if high - low >= _LEVELS or len(paddings) > 1 or all(how == own[0] for how in own):
        return own
    return [Encoding("u16", 1.0, low, _stored(paddings.pop(), 1.0, low))] * len(own)


def _stored(value: float | None, slope: float, intercept: float) -> int | None:
    """A padding value as it is stored; None where it lies outside what is stored: then no pixel holds it."""
    stored = None if value is None else round((value - intercept) / slope)
    return stored if stored is not None and 0 <= stored <= 65535 else None


def encode(image: Image, how: Encoding) -> bytes:
    """Stored values, C order: uint8 `[H, W]`, uint16 little endian `[H, W]`, or uint8 `[H, W, 3]`."""
    if how.kind == "rgb":
        return np.ascontiguousarray(image.pixels).tobytes()
    # In place, and only what is needed: a series of hundreds of slices passes here while its first is looked at.
    stored = np.subtract(image.pixels, np.float32(how.intercept), dtype=np.float32)
    if np.isnan(stored.sum()):
        np.nan_to_num(stored, copy=False, nan=0.0)
    if how.slope != 1.0:
        stored /= np.float32(how.slope)
    np.rint(stored, out=stored)
    top, kind = (255, np.dtype("u1")) if how.kind == "u8" else (65535, np.dtype("<u2"))
    return bytes(np.clip(stored, 0, top, out=stored).astype(kind).tobytes())


def voi_table(image: Image, how: Encoding) -> bytes | None:
    """The file's VOI LUT as one grey level (uint8) a stored value; None when the image has a window instead."""
    if image.voi_lut is None or image.windows or how.kind == "rgb":
        return None
    levels = np.arange(256 if how.kind == "u8" else 65536, dtype=np.float32) * how.slope + how.intercept
    return np.rint(apply_voi_lut(levels, image.voi_lut) * 255).astype(np.uint8).tobytes()


def first_window(image: Image) -> Window:
    """The window that an image is shown with until the reader changes it."""
    return Window(127.5, 255.0, "LINEAR_EXACT") if image.photometric == "RGB" else default_window(image)


def presets(image: Image, kind: str = "") -> list[dict[str, Any]]:
    """Windows to choose from: the file's own, and those that suit what the picture shows.

    Args:
        kind: what the router takes the picture for, where that is known; the header's word counts first.
    """
    base = first_window(image)
    out = [{"title": "Default", "own": True, **_window(base)}]
    for i, other in enumerate(image.windows[1:3], start=2):
        out.append({"title": other.explanation.strip().capitalize()[:14] or f"Window {i}", **_window(other)})
    if image.modality_units == "HU":
        known = [{"title": t, "centre": c, "width": w, "kind": "LINEAR"} for t, c, w in _CT_WINDOWS]
        return [*out[:1], *known, dict(_AUTO)]
    if image.photometric == "RGB":
        return out[:_MOST]
    low = base.centre - base.width / 2
    for title, start, stop in _film_windows(image, kind):
        # On MONOCHROME1 films low values are white: the dark lung lies at the upper end.
        start, stop = (1 - stop, 1 - start) if image.photometric == "MONOCHROME1" else (start, stop)
        window = Window(low + base.width * (start + stop) / 2, base.width * (stop - start), "LINEAR_EXACT")
        if title not in [preset["title"] for preset in out]:  # the file's own window of that name is the better one
            out.append({"title": title, **_window(window)})
    return [*out[:_MOST], dict(_AUTO)]


def _film_windows(image: Image, kind: str) -> tuple[tuple[str, float, float], ...]:
    """Windows of chest and bone films, as shares; none for what is neither, or not known to be."""
    if image.modality not in _FILMS:
        return ()
    if image.body_part in _CHEST or (image.body_part is None and kind.startswith("chest_")):
        return _CHEST_WINDOWS
    if image.body_part in _BONES.split() or (image.body_part is None and kind == "bone_film"):
        return _BONE_WINDOWS
    return ()


def _window(window: Window) -> dict[str, Any]:
    return {"centre": window.centre, "width": window.width, "kind": window.function}


def overlay(saliency: SaliencyMap, spec: InputSpec, whole: bool = True) -> FloatArray:
    """The map as the browser gets it, float32 `[h, w]`, its outer edges on those of the source image.

    Squashed inputs cover the whole source, so the grid where the map was computed says everything. Other fits cover a
    part of it, and so does a network that looks at a square (`whole` is false): then the raised map is sent, averaged
    down to at most 512 places a side.
    """
    if spec.fit == "squash" and whole:
        return saliency.grid
    rows, columns = saliency.values.shape
    shrink = max(rows, columns) / _LARGEST_OVERLAY
    if shrink <= 1:
        return saliency.values
    size = (max(1, round(columns / shrink)), max(1, round(rows / shrink)))
    return np.asarray(cv2.resize(saliency.values, size, interpolation=cv2.INTER_AREA), np.float32)
