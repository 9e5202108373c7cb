"""`python -m scrooge` is the command `scrooge`."""

from scrooge.cli.main import main

if __name__ == "__main__":
    main()
