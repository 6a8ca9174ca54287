"""The layout is the architecture: who may import whom, and what must not be loaded before somebody asks for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "medimg_core"

# What each part may import of ours (DESIGN: each only what stands to its left).
BASE = {"errors", "types", "imaging", "metrics"}
READING = BASE | {"io", "catalog"}
ALLOWED = {
    "errors": set(),
    "types": {"types"},
    "progress": set(),
    "imaging": {"errors", "types", "imaging"},
    "metrics": {"errors", "types", "metrics"},
    "io": BASE | {"io", "catalog"},
    "catalog": BASE | {"io", "catalog"},
    "inference": READING | {"inference"},
    "explain": READING | {"inference", "explain"},
    "training": READING | {"inference", "explain", "training"},
    "render": READING | {"inference", "render"},
    "workflows": READING | {"inference", "explain", "training", "render", "workflows"},
    "ui": READING | {"inference", "explain", "render", "workflows", "ui"},
    "cli": READING | {"inference", "explain", "render", "training", "workflows", "cli", "progress"},
    "__main__": {"cli"},
    "__init__": set(),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """All modules that a file imports, at any depth of nesting."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module == "medimg_core":
                names.update(f"medimg_core.{alias.name}" for alias in node.names)
    return names


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("medimg_core.")}
    assert ours - {"__version__"} <= ALLOWED[part(path)]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_streamlit_and_tensorflow_stay_in_their_rooms(path: Path) -> None:
    names = {name.split(".")[0] for name in imported(path)}
    assert part(path) == "ui" or "streamlit" not in names
    gradients = part(path) == "explain" and path.stem.startswith("engine")
    keras_runtime = part(path) == "inference" and path.stem.startswith("keras")
    if not (part(path) == "training" or gradients or keras_runtime):
        assert not names & {"tensorflow", "keras", "tf_keras_vis"}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("medimg_core.workflows", {"tensorflow", "keras", "streamlit", "matplotlib"}),
        ("medimg_core.workflows.diagnose", {"tensorflow", "keras", "streamlit", "matplotlib"}),
        ("medimg_core.cli", {"tensorflow", "keras", "streamlit", "matplotlib", "pandas", "scipy.stats"}),
        ("medimg_core.workflows", {"highdicom"}),
        ("medimg_core.io", {"highdicom", "pydicom"}),
        ("medimg_core.render.segmentation", {"highdicom", "pydicom"}),
        ("medimg_core.ui.page", {"highdicom", "tensorflow"}),
    ],
)
def test_nothing_heavy_is_loaded_at_import(module: str, forbidden: set[str]) -> None:
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not forbidden & set(done.stdout.split())


def test_pages_stay_thin() -> None:
    long = {p.name: n for p in (ROOT / "pages").glob("*.py") if (n := len(p.read_text().splitlines())) > 150}
    assert not long


def test_modules_have_one_reason_to_exist() -> None:
    long = {str(p.relative_to(ROOT)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 450}
    assert not long
