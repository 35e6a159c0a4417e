"""Run `quantreg` as `python -m pytest_quantreg.cli`."""

from . import main

raise SystemExit(main())
