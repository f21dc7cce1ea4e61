"""Pure: what a slot of a site came to: its energy balance, what it cost, and whose that is.

``metering`` makes energies of readings, ``account`` closes the balance of a slot and shares it out,
``checks`` says what is wrong with an entry, ``reports`` sums entries up.
"""
