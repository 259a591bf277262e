"""The frozen model: what a mesh's proxy is told to do. Pure data, with the rules of meaning."""
