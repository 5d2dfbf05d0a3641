"""``python -m musicrnn`` is the same as ``musicrnn``."""

from musicrnn.cli.app import main

if __name__ == "__main__":
    main()
