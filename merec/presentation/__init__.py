"""Style of numbers, captions, tables and figures, the same in every output."""
