"""What the grey levels alone must be: blank, clipped, tiny and over-long pictures are no images to judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from medimg_core.imaging.quality import Quality
from medimg_core.inference.kinds import KNOWN


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit on one figure of `Quality`; `sign` is 1 where too much is wrong, -1 where too little is.

    `kind` and `reason` are what a refusal says.
    """

    figure: str
    sign: int
    doubt: float
    refuse: float
    kind: str
    reason: str

    def broken(self, quality: Quality) -> str:
        """`refuse`, `doubt` or an empty string."""
        value = float(getattr(quality, self.figure)) * self.sign
        if value > self.refuse * self.sign:
            return "refuse"
        return "doubt" if value > self.doubt * self.sign else ""


# Real films of `train` and `val` keep clear of every limit of refusal: shorter side 66 pixels and more, aspect up to
# 3.4, contrast 0.24 and more, 94 levels and more, commonest level up to 0.49, clipped up to 0.51, margin up to 0.35.
_RULES = (
    Rule("contrast", -1, 0.20, 0.06, "blank", "It is almost all of one shade."),
    Rule("commonest", 1, 0.60, 0.85, "blank", "Most of it is one grey level."),
    Rule("margin", 1, 0.50, 0.75, "blank", "Most of it is empty margin."),
    Rule("missing", 1, 0.25, 0.60, "blank", "Much of it holds no data."),
    Rule("shorter", -1, 100, 48, "quality", "It has too few pixels to show detail."),
    Rule("aspect", 1, 2.6, 4.0, "quality", "It is much longer than it is wide, or the other way round."),
    Rule("levels", -1, 64, 16, "document", "It has too few grey levels for such an image."),
    Rule("clipped", 1, 0.55, 0.85, "quality", "Much of it is quite black or quite white, without detail."),
)
_GREY = Rule("coloured", 1, 0.02, 0.25, "photo", "It is in colour; such an image is grey.")
_COLOURED = Rule("coloured", -1, 0.05, 0.001, "quality", "It is grey; such an image is in colour.")

# Figure -> (doubt, refuse), where real pictures of a kind in `train` and `val` come near the limits for films: slices
# have a black surround, nodules are cut from a few pixels, and the outermost slices of a head show hardly anything.
_OTHERWISE: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "bone_film": {"commonest": (0.70, 0.85), "margin": (0.60, 0.75), "clipped": (0.65, 0.85)},
    "mammogram": {"commonest": (0.78, 0.90), "margin": (0.70, 0.85), "clipped": (0.80, 0.92)},
    "lung_nodule_patch": {"shorter": (40, 24), "contrast": (0.17, 0.06), "levels": (56, 16)},
    "head_ct": {"commonest": (0.88, 0.95), "margin": (0.85, 0.93), "clipped": (0.97, 0.99)},
    "brain_mr_t1c": {"margin": (0.70, 0.85), "clipped": (0.68, 0.85)},
    "brain_mr_sequences": {
        "contrast": (0.02, 0.006),
        "commonest": (0.90, 0.98),
        "margin": (0.95, 0.99),
        "levels": (8, 3),
        "clipped": (0.93, 0.99),
    },
    "fetal_ultrasound": {"commonest": (0.60, 0.85), "clipped": (0.64, 0.85)},
    "fundus": {"contrast": (0.11, 0.06), "levels": (48, 16)},
}


def rules(kind: str) -> tuple[Rule, ...]:
    """The rules that hold for a known kind. Three sequences as colours may be grey where a slice shows little."""
    own = _OTHERWISE.get(kind, {})
    fitted = tuple(
        replace(rule, doubt=own[rule.figure][0], refuse=own[rule.figure][1]) if rule.figure in own else rule
        for rule in _RULES
    )
    if kind == "brain_mr_sequences":
        return fitted
    return (*fitted, _COLOURED if KNOWN[kind].colour else _GREY)


def broken(quality: Quality, kind: str) -> tuple[list[Rule], list[Rule]]:
    """The rules of a kind that refuse a picture, and those that only cast doubt on it."""
    found = [(rule, rule.broken(quality)) for rule in rules(kind)]
    return [rule for rule, how in found if how == "refuse"], [rule for rule, how in found if how == "doubt"]
