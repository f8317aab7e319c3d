"""The parts of a training command: options, data, start, the run that is saved."""
