"""Style of numbers, captions, tables and figures in all outputs."""
