"""The DICOMweb facade: what OHIF asks for, from HealthImaging. No index of its own."""
