"""dcmtk's programs, which share names with pynetdicom's scripts."""

import os
import shutil
import sys
from pathlib import Path

from demo.shell import DemoError


def dcmtk(program: str) -> str:
    """Path of a program, looked for outside the Python environment in use.

    Raises:
        DemoError: it is not installed.
    """
    own = Path(sys.executable).parent
    outside = [folder for folder in os.get_exec_path() if Path(folder) != own]
    found = shutil.which(program, path=os.pathsep.join(outside))
    if found is None:
        raise DemoError(f"dcmtk's {program} is not installed (Debian: dcmtk)")
    return found
