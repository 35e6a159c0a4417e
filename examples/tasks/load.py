"""Reads the items beside the task files, wherever lm-eval was started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets


def load(data_files: dict[str, str], **_: Any) -> dict[str, datasets.Dataset]:
    """lm-eval reads relative ``data_files`` from the working directory; this reads them here."""
    here = Path(__file__).parent
    return {
        split: datasets.Dataset.from_list(
            [json.loads(line) for line in (here / name).read_text("utf-8").splitlines()]
        )
        for split, name in data_files.items()
    }
