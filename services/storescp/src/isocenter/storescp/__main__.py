"""``python -m isocenter.storescp``."""

import sys

from isocenter.storescp.main import main

sys.exit(main())
