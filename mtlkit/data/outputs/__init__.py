"""Files with a row for each text: their columns, their formats, and outputs that can be resumed."""
