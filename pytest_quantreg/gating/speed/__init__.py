"""From one call of compare_speed to its outcomes: compare, record, judge."""
