"""Export formats, a module each: how a format is written, how it is read back, and its model card.

To add a format, add a module with a subclass of `base.ExportFormat` and `EXPORT_FORMATS.add(...)`. Modules here import torch and
the packages of a format only inside functions, as `--help` lists the formats.
"""
