"""DIMSE (PS3.7): command sets, and the services that answer them."""
