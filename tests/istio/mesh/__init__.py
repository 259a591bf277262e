"""The index of services and rules."""
