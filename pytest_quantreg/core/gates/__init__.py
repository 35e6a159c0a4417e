"""What a test requires, and what evidence means for it: gates, verdicts and outcomes."""
