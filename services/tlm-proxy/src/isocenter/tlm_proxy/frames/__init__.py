"""Frames of HealthImaging and their bytes: cached, shared while they arrive, cut."""
