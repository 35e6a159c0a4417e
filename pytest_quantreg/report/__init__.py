"""Outcomes in, words out: the messages of single tests and the reports of a session."""
