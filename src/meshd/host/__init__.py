"""What the supervisor and the daemon share; the standard library alone, and nothing of meshd but itself."""
