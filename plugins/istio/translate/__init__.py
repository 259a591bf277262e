"""Resources to native sections for one node. ``compose`` is the door; each module makes one kind of thing.

Everything is plain Python in the native form (``emit.tree`` makes nodes of it), at the place of its document.
"""
