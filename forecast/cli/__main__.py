"""``python -m forecast.cli``."""

import sys

from forecast.cli.commands import main

sys.exit(main())
