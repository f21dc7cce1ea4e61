"""Pure: what a call of the grid side came to, from what was metered, called and planned.

``rules`` says how programmes reckon what a site would have drawn, ``days`` which days they look at,
``baseline`` does so, ``delivered`` settles an event by its terms, ``report`` is all of it together.
"""
