"""Listeners and downstream connections: where requests come in and answers go out."""
