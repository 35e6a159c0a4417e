"""Words of what a project writes into its pyproject.toml."""

from __future__ import annotations

from ...core.codes import ConfigCode
from .options import or_meant
from .template import Table

WORDS: Table = {
    ConfigCode.PROJECT_FILE_UNREADABLE: (
        "{name} cannot be read: {reason}",
        "the file is {path}",
    ),
    ConfigCode.PROJECT_FILE_TOO_LARGE: "it has {size:,} bytes where at most {most:,} can be right",
    ConfigCode.PROJECT_FILE_TOO_DEEP: "it is nested too deeply",
    ConfigCode.BAD_ENTRY: ("{where} = {value}: {cause}", "{cause:help}"),
    ConfigCode.EXPECTED_TABLE: "allowed is a table",
    ConfigCode.UNKNOWN_KEY: or_meant(
        "{where} {key}: no such key, allowed are {allowed}", "{meant}"
    ),
    ConfigCode.MISSING_KEYS: "{where}: {keys} is missing",
    ConfigCode.EXPECTED_BOOLEAN: "allowed are true and false",
    ConfigCode.EXPECTED_GROUP_SIZE: (
        "allowed is a whole number, 1 or more, where granularity is group or block"
    ),
    ConfigCode.EXPECTED_REF: (
        "allowed is a REF, or a table of one per model",
        'e.g. checkpoint = "models/ours" or checkpoint = {{"org/model" = "org/model-w4a16"}}',
    ),
    ConfigCode.EXPECTED_ALIASES: (
        "allowed is a list of names of letters, digits, '.', '_' and '-'"
    ),
    ConfigCode.BAD_SCHEME_NAME: (
        "{where}: allowed in a name are letters, digits, '.', '_' and '-'",
        "it becomes a part of test ids",
    ),
    ConfigCode.RETENTION_WITHOUT_SOURCE: (
        "{where}: retention and source go together",
        'e.g. retention = 0.97, source = "our report of May, 3,000 items"',
    ),
    ConfigCode.LIKE_BESIDE_DATA: (
        "{where}: like says what {key} says too",
        "keep like, or write out weights, activations and kv_cache",
    ),
    ConfigCode.NEITHER_LIKE_NOR_WEIGHTS: (
        "{where}: neither like nor weights says what it is",
        'e.g. like = "w4a16-int4"',
        'or weights = {{type = "int", bits = 4, granularity = "group", group_size = 64}}',
    ),
    ConfigCode.UNKNOWN_KV_CACHE: (
        "{where} kv_cache: {type} in {bits} bits is not known",
        'allowed is fp8: kv_cache = {{type = "float", bits = 8, granularity = "tensor"}}',
    ),
    ConfigCode.TWO_TABLES_OF_SCHEME: ("{where}: another table is about {scheme} too", "keep one"),
    ConfigCode.UNQUANTIZED_TABLE: "{where}: {scheme} is built in, and quantizes nothing",
    ConfigCode.BUILT_IN_REDEFINED: (
        "{where} {key}: {scheme} is built in and takes nothing but checkpoint",
        "give a scheme of your own another name",
    ),
    ConfigCode.BUILT_IN_ALIAS_REDEFINED: (
        "{where} {key}: {name}, which is {scheme}, is built in and takes nothing but checkpoint",
        "give a scheme of your own another name",
    ),
    ConfigCode.ALIAS_OF_BUILT_IN: "{where} aliases: {name!r} is built in already, as {scheme}",
    ConfigCode.SCHEME_NAME_TAKEN: (
        "{where}: {name!r} is {scheme} already",
        "case, separators and the order of words make no other name",
    ),
    ConfigCode.CHECKPOINTS_BY_MODEL: (
        "{where} goes by model, and no model is named",
        "name it: --quant-model=REF",
        "it knows {models}",
    ),
    ConfigCode.NO_CHECKPOINT_OF_MODEL: (
        "{where} has no entry for {model}",
        "it knows {models}",
        "add one, or type --quant-checkpoint={scheme}=REF",
    ),
}
