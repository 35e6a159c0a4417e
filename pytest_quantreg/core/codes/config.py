"""Codes of what a project writes into its pyproject.toml."""

from __future__ import annotations

from .base import Category, Code


class ConfigCode(Code):
    """Problems of what a project writes into its pyproject.toml."""

    PROJECT_FILE_UNREADABLE = Category.WRONG_USE
    PROJECT_FILE_TOO_LARGE = Category.WRONG_USE
    PROJECT_FILE_TOO_DEEP = Category.WRONG_USE

    BAD_ENTRY = Category.WRONG_USE
    EXPECTED_TABLE = Category.WRONG_USE
    UNKNOWN_KEY = Category.WRONG_USE
    MISSING_KEYS = Category.WRONG_USE
    EXPECTED_BOOLEAN = Category.WRONG_USE
    EXPECTED_GROUP_SIZE = Category.WRONG_USE
    EXPECTED_REF = Category.WRONG_USE
    EXPECTED_ALIASES = Category.WRONG_USE

    BAD_SCHEME_NAME = Category.WRONG_USE
    RETENTION_WITHOUT_SOURCE = Category.WRONG_USE
    LIKE_BESIDE_DATA = Category.WRONG_USE
    NEITHER_LIKE_NOR_WEIGHTS = Category.WRONG_USE
    UNKNOWN_KV_CACHE = Category.WRONG_USE

    TWO_TABLES_OF_SCHEME = Category.WRONG_USE
    UNQUANTIZED_TABLE = Category.WRONG_USE
    BUILT_IN_REDEFINED = Category.WRONG_USE
    BUILT_IN_ALIAS_REDEFINED = Category.WRONG_USE
    ALIAS_OF_BUILT_IN = Category.WRONG_USE
    SCHEME_NAME_TAKEN = Category.WRONG_USE

    CHECKPOINTS_BY_MODEL = Category.WRONG_USE
    NO_CHECKPOINT_OF_MODEL = Category.WRONG_USE
