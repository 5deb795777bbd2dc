"""The edge to HealthImaging."""
