"""The command line. Results go to standard output, progress and errors to standard error.

Exit status: 0 all done; 1 some inputs failed or were refused, the rest is done; 2 the command cannot be carried out
as it was given.

Nothing heavy is imported before a command needs it: `predict` answers within a second of the start.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from medimg_core.cli.options import parser
from medimg_core.cli.said import DONE, SOME_FAILED, USAGE, say
from medimg_core.errors import MedImgError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; returns the exit status."""
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names need not be UTF-8: what cannot be printed is escaped, and the work goes on.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        status: int = options.command(options)
        sys.stdout.flush()
        return status
    except MedImgError as error:
        say(f"{error.cause} {error.remedy}")
        return USAGE
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader (head, less) has gone: nothing more to say, and nothing to flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        say(f"The results could not be written ({error.strerror or type(error).__name__}). Check the folder of --out.")
        return USAGE if isinstance(error, (PermissionError, NotADirectoryError, FileExistsError)) else SOME_FAILED
    except KeyboardInterrupt:
        say("Stopped as asked. What was finished before is kept.")
        return SOME_FAILED
    except Exception as error:
        # Messages of libraries quote what they were reading, so the place is told and the message is not.
        place = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
        say(f"The program failed on something that it did not foresee ({fault}). Report this line to its maintainers.")
        return SOME_FAILED
