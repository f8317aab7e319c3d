"""How losses and gradients of tasks are weighted."""
