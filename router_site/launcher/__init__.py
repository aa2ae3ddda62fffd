"""`./run`: makes the environment, starts the processes, watches them, stops them."""
