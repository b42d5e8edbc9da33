"""A fitted model as a bundle of JSON and arrays, and back."""
