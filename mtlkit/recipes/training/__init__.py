"""The steps of a training command: validating options, preparing data and model, training, saving the run."""
