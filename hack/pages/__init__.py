"""The documentation: its navigation, and the commands its pages tell people to run."""
