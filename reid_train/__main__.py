"""``python -m reid_train``: the same as the command ``reid-train``."""

import sys

from reid_train.command_line import main

sys.exit(main())
