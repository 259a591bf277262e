"""The only line that a new version of this distribution changes."""

RELEASE = "1.0"
