"""Features and networks in the formats of other software, a file each."""
