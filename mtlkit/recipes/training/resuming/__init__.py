"""What --resume needs besides tensors: the saved options, and where to go on."""
