"""The DNS proxy: answers for names of the mesh, hands every other query to the system's resolvers as it came.

``table`` has the names, ``answer`` the messages, ``forward`` asks resolvers, ``server`` has the sockets, which outlive
a reload, ``proxy`` is the object of one runtime. twisted.names is imported where a configuration has the proxy on.
"""
