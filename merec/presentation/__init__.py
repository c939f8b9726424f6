"""How numbers, captions, tables and figures are written, the same in every output."""
