"""How fast streams are taken in, how late, and what twenty kills cost: see ``__main__``."""
