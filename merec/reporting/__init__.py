"""Reports: tables, figures and an HTML page, all computed from predictions."""
