"""The documents of Gateway API, one module for each family: fields, types, bounds and the rules of the published CRDs.

A class that is a document's section is named in ``catalog``; nothing here looks beyond one document.
"""
