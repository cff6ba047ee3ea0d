"""How fast is it, and against what? Every figure stands beside the floor of the same machine."""
