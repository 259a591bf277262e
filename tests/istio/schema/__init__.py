"""The classes of Istio's kinds."""
