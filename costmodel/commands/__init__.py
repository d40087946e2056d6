"""The commands of `pwoct-cost`, one per file: parse, call, show, exit."""
