"""A virtual end node (VEN) of OpenADR 3: a virtual power plant as ``connectors.protocols`` has it.

``client`` speaks to the other side (VTN), ``wire`` reads what it sends, ``timing`` says when it
holds, ``payloads`` what it asks of which site, ``overlap`` which of several calls holds, ``ven``
puts them together. All but ``client`` and ``ven`` are pure.
"""
