"""What the integration tests stand on: a real daemon, scripted upstreams, clients, a look at leaks."""
