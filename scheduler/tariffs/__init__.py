"""What electricity costs a site by the local clock: hours, demand charges, tariffs and bills.

Pure: specs and instants in, frozen values out. No database, no signals, no slots of a problem.
"""
