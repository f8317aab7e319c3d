"""What Hugging Face calls our weights: one table of names for each family of models, read in both directions.

To add a family, add a module that describes it and adds it to `base.FAMILIES`.
"""
