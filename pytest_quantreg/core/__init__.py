"""Pure logic: no pytest, no files, no clock, no environment, no engine."""
