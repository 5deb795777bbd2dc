"""File descriptors: connections must leave enough of them to store instances."""

import logging
import resource

log = logging.getLogger(__name__)

_FOR_THE_REST = 256
"""Of ports, the spool, its index, S3, logs and libraries."""
_FEWEST = 16


def of_associations(associations: int, operations: int) -> int:
    """Descriptors that established associations may need at the same time.

    Args:
        associations: at the same time.
        operations: instances at the same time on each, one file each; and one that
            is just being received.
    """
    return associations * (operations + 2)


def room(connections: int, reserved: int) -> int:
    """How many connections without an association the system lets us have.

    The process's limit (RLIMIT_NOFILE) is raised as far as it may be; where that is
    not enough there are fewer connections, so that a flood of them never keeps an
    instance from being stored.

    Args:
        connections: that are wanted.
        reserved: descriptors that associations need.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + reserved + _FOR_THE_REST
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    left = max(_FEWEST, connections - (wanted - soft))
    log.warning(
        "room for %d connections without an association only: the process may open %d"
        " files (RLIMIT_NOFILE)",
        left,
        soft,
    )
    return left
