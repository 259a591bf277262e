"""HTTP filters in child processes, as the parent sees them: ``isolate`` is the owner, ``meshd.isolated`` the child."""
