"""From one call of compare_accuracy to its outcomes: compare, record, judge."""
