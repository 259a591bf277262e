"""What the supervisor and the daemon share; the standard library alone, so that a supervisor stays small."""
