"""What lies under PREFIX/share: man pages and completion, made of the parsers and the classes of the configuration.

``python -m meshd.cli.share contrib/share`` writes them anew; the wheel and the Debian package carry that folder.
"""
