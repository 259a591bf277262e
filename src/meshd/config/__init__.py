"""From configuration files to a checked ``Loaded``, or faults for people; the command line and the reload ask it."""
