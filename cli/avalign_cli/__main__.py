"""`python -m avalign_cli`: the command line of the tree that is on the path."""

import sys

from avalign_cli.main import main

if __name__ == "__main__":  # workers of a pool import this module anew
    sys.exit(main())
