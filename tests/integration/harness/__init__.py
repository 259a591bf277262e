"""What the integration tests stand on: a real daemon, upstreams that do as they are told, clients, and a look at leaks."""
