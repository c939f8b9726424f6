"""What readers of data sets share: spreadsheets and their rows, folders, subjects, action units, errata."""
