"""AWS HealthImaging: the client at the edge, and pure models of what it answers."""
