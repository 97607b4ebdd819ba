"""Filters, whose result has the shape of the input, and peaks; made of pooling of stride 1."""
