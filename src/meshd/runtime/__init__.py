"""Composition: from a Snapshot to live objects, from one runtime to the next; driven by the daemon."""
