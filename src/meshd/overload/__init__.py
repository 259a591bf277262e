"""Overload protection: what is measured, from when on it is too much, and what is done then; run by the daemon."""
