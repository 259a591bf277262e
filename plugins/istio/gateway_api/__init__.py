"""Gateway API (gateway.networking.k8s.io): Gateways and their routes drive this node. The dialect and its verb call it.

``schema`` has the classes, ``world`` what stands in the documents, ``plan`` what became of it: bindings and conditions;
``translate`` and ``mesh_routes`` native configuration of it, ``status`` plain data for people.
"""
