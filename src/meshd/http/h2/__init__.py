"""HTTP/2 without I/O (RFC 9113, RFC 7541, RFC 8441), server and client side, behind one face.

``session.start(role, settings, sink)`` makes a ``Session`` (session.py): bytes in with ``receive``, bytes out with
``take``, messages in and out as meshd's own heads. Two engines do the protocol: *fast* on ngh2 (libnghttp2) and *pure*
on h2, which serves where ngh2 cannot be imported and is what the tests compare the fast one with. What both must do
alike is not in them: fields.py turns fields into heads and back and refuses what is malformed, gate.py looks at each
frame that comes and counts what floods are made of.
"""
