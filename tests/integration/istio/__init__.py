"""Istio documents through the real daemon."""
