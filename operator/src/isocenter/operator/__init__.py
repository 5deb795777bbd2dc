"""The operator and the intake process: custom resources, and AWS events to them."""
