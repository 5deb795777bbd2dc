"""``python -m isocenter.fetcher``."""

import sys

from isocenter.fetcher.main import main

if __name__ == "__main__":
    sys.exit(main())
