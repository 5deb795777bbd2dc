"""Tile-level-marker proxy: resolution levels of HealthImaging frames over HTTP."""
