"""The commands of `pwoct-cost`, one a file: parse, call, show, exit."""
