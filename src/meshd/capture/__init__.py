"""Transparent capture: nftables rules that lead connections to meshd, and what is known about them.

``settings`` is what is captured, ``ruleset`` its text for nft(8), ``reading`` the way back from the kernel; ``kernel``
runs nft and ip, ``host`` looks at this machine, ``conflict`` at other people's rules, ``path`` says what becomes of a
connection, ``control`` puts it all in force and takes it away, ``watch`` undoes what nobody confirms. Used by ``meshctl
capture``.
"""
