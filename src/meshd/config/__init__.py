"""Configuration files to a checked ``Loaded`` snapshot, and faults for people; the command line and the reload ask it."""
