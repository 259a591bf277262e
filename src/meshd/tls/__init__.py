"""TLS as configured, alive: contexts made of files, renewed as these change; what a peer's certificate must be."""
