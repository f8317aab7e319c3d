"""Makes commands of options dataclasses: parsing, help, TOML files, completion."""
