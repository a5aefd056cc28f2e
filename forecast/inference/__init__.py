"""A model in, a posterior with its diagnostics out."""
