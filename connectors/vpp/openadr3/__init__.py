"""A virtual end node (VEN) of OpenADR 3: a virtual power plant as ``connectors.protocols`` has it.

``client`` speaks to the other side (VTN), ``wire`` reads what it sends, ``timing`` says when it
holds, ``payloads`` what it asks of which site, ``overlap`` which of several calls holds, ``ven``
puts them together. ``registration`` makes us known, ``subscription`` and ``notifier`` have us told
of changes. What asks or listens is ``client`` and those three with ``ven``; all else is pure.
"""
