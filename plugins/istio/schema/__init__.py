"""Istio's document kinds as configuration classes: what a ``spec`` may hold, and what istiod's webhook refuses.

One module for each kind, one class for each message of istio/api, with its field names in snake_case.
"""
