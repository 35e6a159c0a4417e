"""Checkpoint folders of the Hugging Face layout: read, identified, inspected and made."""
