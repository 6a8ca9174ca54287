"""`make bench`: one table and `benchmarks/results/latest.json`. Ratios within one run; bare times are the machine's.

Every module below has a function `rows() -> list[Row]`; name some of them to run only those.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.rows import Row, table

MODULES = ("start", "reading", "prediction", "throughput", "memory", "saliency", "viewer")


def main(chosen: list[str]) -> int:
    unknown = set(chosen) - set(MODULES)
    if unknown:
        print(
            f"There is no benchmark named {', '.join(sorted(unknown))}. Known: {', '.join(MODULES)}.", file=sys.stderr
        )
        return 2
    rows: list[Row] = []
    for name in chosen or MODULES:
        print(f"measuring: {name}", file=sys.stderr)
        rows += importlib.import_module(f"benchmarks.{name}").rows()
    print(table(rows))
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    result = {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "rows": [asdict(row) | {"ratio": row.ratio} for row in rows],
    }
    (folder / "latest.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
