"""Chest films that show nobody: a statistical appearance model, fitted to the training films by a command.

`python -m medimg_core.training.appearance --data ../shared/data --out models/demo_cases` fits, draws, checks that
no drawn film is a copy, and writes the demo cases as DICOM files. `docs/demo_cases.md` tells how and what was measured.
"""
