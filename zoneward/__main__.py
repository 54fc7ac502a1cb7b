"""`python -m zoneward`: what the entry point `zoneward` does too."""

from zoneward.cli import main

if __name__ == "__main__":
    main()
