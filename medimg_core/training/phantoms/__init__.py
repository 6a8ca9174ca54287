"""Pictures of the other questions that show nobody, drawn from geometry, physics and noise; no image was used.

`python -m medimg_core.training.appearance` writes them as DICOM files beside the chest films (`docs/demo_cases.md`).
"""
