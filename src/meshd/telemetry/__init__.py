"""Metric cells, their families, and the writers of /metrics and /stats. Plugins see it as ``site.metrics``."""
