"""Studies: one file per section of a report, with its computation, table and figure."""
