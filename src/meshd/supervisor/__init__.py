"""The process above several workers: it owns the listening sockets and carries no traffic; standard library alone."""
