"""The command lines: ``meshd`` (daemon.py) and ``meshctl`` (ctl.py)."""
