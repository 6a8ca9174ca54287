"""Reading images: files, folders and zips become a `Study` without anything that identifies a patient."""

from medimg_core.io.attach import Attached, attach
from medimg_core.io.deidentify import display_name
from medimg_core.io.isolation import Pool, default_pool, shutdown, warm_up
from medimg_core.io.study import FileResult, read_file, read_files, read_study

__all__ = [
    "Attached",
    "FileResult",
    "Pool",
    "attach",
    "default_pool",
    "display_name",
    "read_file",
    "read_files",
    "read_study",
    "shutdown",
    "warm_up",
]
