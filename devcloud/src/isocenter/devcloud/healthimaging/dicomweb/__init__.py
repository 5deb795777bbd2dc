"""HealthImaging's DICOMweb service: representations of QIDO-RS and WADO-RS."""
