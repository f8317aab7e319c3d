"""Export formats, a module each: what writes a format, what reads it back, and what its model card says.

To add a format, add a module with a subclass of `base.ExportFormat` and `EXPORT_FORMATS.add(...)`. Modules here import torch and
the packages of a format inside functions alone, since `--help` lists the names of formats.
"""
