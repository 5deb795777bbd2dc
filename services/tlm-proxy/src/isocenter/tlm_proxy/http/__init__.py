"""The HTTP edge: routes, answers, failures."""
