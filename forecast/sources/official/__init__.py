"""The official files of each source, in their authors' layout, read into tidy tables.

One module per source. Each has ``read(files)``, which takes the path of each of its files by role
(`ROLES`) and returns one `forecast.sources.tables.Reading` per kind of fact, checked against its
schema; and `CODE_SYSTEM`, the system of its state numbers (``"cow"`` or ``"gw"``).
"""
