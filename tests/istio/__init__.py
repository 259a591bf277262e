"""The dialect istio: documents in, native sections out."""
