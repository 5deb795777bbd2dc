"""Runs the Store SCP and notes what it writes anywhere but in its spool.

``python watched.py SPOOL NOTES``: every file that is opened for writing, made, renamed
or removed, as Python's audit events show it, adds a line to NOTES, unless it lies in
SPOOL or below /dev or /proc. Writes of the processes it starts are not seen.
"""

import os
import sys

_CHANGES = {
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "sqlite3.connect": 1,
}
"""Events, and how many names they begin with."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def names(event, arguments):
    """What an event changes."""
    if event == "open":
        return arguments[:1] if (arguments[2] or 0) & _WRITING else ()
    return arguments[: _CHANGES.get(event, 0)]


def relative(event, arguments, name):
    """Whether a name is one within a folder that was opened before (dir_fd)."""
    within = event in _CHANGES and isinstance(arguments[-1], int) and arguments[-1] > 2
    return within and "/" not in name and name not in {".", ".."}


def watch(spool, notes):
    allowed = (f"{spool}/", "/dev/", "/proc/")
    note = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def hook(event, arguments):
        for name in names(event, arguments):
            if not isinstance(name, str | bytes | os.PathLike):
                continue
            text = os.fsdecode(name)
            path = os.path.abspath(text)  # noqa: PTH100 - a link is left what it is
            if relative(event, arguments, text) or f"{path}/".startswith(allowed):
                continue
            os.write(note, f"{event} {path}\n".encode())

    sys.addaudithook(hook)


if __name__ == "__main__":
    from isocenter.storescp.main import main

    watch(*sys.argv[1:3])
    del sys.argv[1:]
    sys.exit(main())
