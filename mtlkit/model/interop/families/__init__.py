"""Weight names of Hugging Face models: one table per model family, used for reading and writing.

To add a family, add a module that describes it and adds it to `base.FAMILIES`.
"""
