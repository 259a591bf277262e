"""Tests of isolated filters that need no process."""
