"""The daemon as a Twisted service: what ``meshd`` runs once its arguments are read."""
