"""Report of an evaluation: figures with intervals, confusion, calibration, comparison, texts that fit no class."""
