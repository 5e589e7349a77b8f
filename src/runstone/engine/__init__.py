"""Runs and resumes: what carries out the work that the store keeps."""
