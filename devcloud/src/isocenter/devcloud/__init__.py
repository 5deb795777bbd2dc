"""A local AWS for development and tests."""
