"""The plain values of what was measured, stored and accepted."""
