"""What ``meshctl plugins`` does: the installed distributions, pip, checks, the lock file, new projects."""
