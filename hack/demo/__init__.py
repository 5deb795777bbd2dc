"""`make demo`: the whole chain on a real study, on the cluster in use."""
