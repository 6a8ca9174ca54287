"""The ejection fraction of pairs of frames against the patients' reference: its error on val, its figures on test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.inference.measures import ErrorFit
from medimg_core.training.outlines.measure import OutlineAnswer, agreement_json

Pairs = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]


def pairs(answers: Sequence[OutlineAnswer]) -> Pairs:
    """Reference and measured ejection fraction in per cent, and the patient, where both frames were outlined."""
    frames: dict[str, dict[str, OutlineAnswer]] = {}
    for answer in answers:
        frames.setdefault(answer.record.patient, {})[answer.record.columns.get("phase", "")] = answer
    rows = []
    for patient, phases in frames.items():
        if not {"ED", "ES"} <= phases.keys():
            continue
        large, small = (phases[phase].measured.get("left_ventricle_volume") for phase in ("ED", "ES"))
        if large is not None and small is not None and large.value > 0:
            said = 100 * (large.value - small.value) / large.value
            rows.append((float(phases["ED"].record.columns["ef"]), said, patient))
    true, said_, who = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(true, np.float64), np.array(said_, np.float64), np.array(who)


def error(val: Sequence[OutlineAnswer]) -> dict[str, dict[str, float | bool]]:
    """The error of one plane against the biplane reference."""
    true, said, _ = pairs(val)
    fit = ErrorFit.of(said, true)
    return {"ejection_fraction": {"bias": round(fit.bias, 4), "sd": round(fit.sd, 4), "relative": False}}


def figures(test: Sequence[OutlineAnswer], bias: float) -> dict[str, Any]:
    """Figures of a test set, less the bias on val, as `ejection_fraction` tells it; none without pairs of frames."""
    true, said, who = pairs(test)
    if len(true) < 2:
        return {}
    return {"ejection_fraction": {"unit": "%", **agreement_json(true, said - bias, who)}}
