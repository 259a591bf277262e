"""What runs in the child process of an isolated filter; ``python -m meshd.isolated.child``, started by the parent."""
