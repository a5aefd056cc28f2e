"""``python -m forecast.cli``."""

import sys

from forecast.cli import main

sys.exit(main())
