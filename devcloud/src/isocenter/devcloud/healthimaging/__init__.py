"""AWS HealthImaging for development: real DICOM in, real HTJ2K out."""
