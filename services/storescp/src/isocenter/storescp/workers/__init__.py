"""Several processes that receive on the same ports, as one service."""
