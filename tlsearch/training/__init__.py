"""Recipes, probes and fine-tuning: tensors in, values out; no files, no prints."""
