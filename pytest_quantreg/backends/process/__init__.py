"""Engines in processes of their own: the process, its protocol, and both of its ends."""
