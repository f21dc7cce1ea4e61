"""From the weather to what the plants of a site give: pvlib for the sun, windpowerlib for the wind.

Needs the extra ``gridtide[weather]``, and nothing else in the room does.
"""
