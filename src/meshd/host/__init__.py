"""What the supervisor and the daemon share: channels, hand-over, notifications; the standard library alone."""
