"""Clusters: endpoints, pools, leases of connections. Knows nothing of exchanges but the face of an attempt."""
