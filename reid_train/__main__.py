"""``python -m reid_train``: the same as the command ``reid-train``."""

import sys

from reid_train.cli import main

sys.exit(main())
