"""``python -m scheduler`` is ``gridtide``."""

from scheduler.cli import main

if __name__ == "__main__":
    main()
