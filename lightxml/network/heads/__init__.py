"""The output layers. Each is one file and answers for itself (`base.Head`)."""
