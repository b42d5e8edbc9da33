"""A fitted model behind HTTP: what ``lightxml serve`` runs. It needs the extra ``serve``."""
