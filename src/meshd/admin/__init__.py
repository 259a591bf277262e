"""The admin API: twisted.web on loopback or a unix socket; its pages are small functions in ``page_*.py``."""
